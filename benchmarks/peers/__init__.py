"""What one might use instead of ad-metrics, each set up as well as we know: see docs/performance.md."""
