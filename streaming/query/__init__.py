"""The run of a query: it starts, is tried again after a fault, and stops between two batches."""
