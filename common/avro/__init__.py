"""Avro in plain Python: the wire formats, and what a message of any writer's schema says."""
