"""One micro-batch: its plan, what it counts, what it writes before its commit, and its report."""
