"""The age of a row when a reader sees it: the parts of `python -m benchmarks.latency`."""
