"""How old a row is when it can be read: what `python -m benchmarks.latency` is made of."""
