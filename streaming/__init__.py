"""The Spark side: sources, decode, patterns, sinks and the runner."""
