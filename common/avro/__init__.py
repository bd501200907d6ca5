"""Avro in plain Python: the wire formats, and reading of messages with any writer's schema."""
