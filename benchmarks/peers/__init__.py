"""Alternatives to ad-metrics, each in the best configuration that we know: see docs/performance.md."""
