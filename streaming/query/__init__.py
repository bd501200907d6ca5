"""The run of a query: its start, its retries after a fault, and its stop between two batches."""
