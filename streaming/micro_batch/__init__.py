"""One micro-batch: its plan, its counts, its writes before the commit, and its report."""
