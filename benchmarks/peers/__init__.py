"""Alternatives to ad-metrics, each in the best configuration that we know. See docs/performance.md."""
