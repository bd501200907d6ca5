"""The parts of `python -m benchmarks.latency`: they measure the age of a row when a reader sees it."""
