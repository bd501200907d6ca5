"""The parts of `make day` (benchmarks.day): a day of event time in an hour."""
