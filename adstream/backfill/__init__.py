"""Windows that are computed again from stored messages, and corrected in their table."""
