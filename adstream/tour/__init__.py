"""The tour: the life of a pipeline, step by step."""
