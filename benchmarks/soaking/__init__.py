"""The parts of the soak (benchmarks.soak): what it measures, how it judges a series, and the results."""
