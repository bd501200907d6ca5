"""Starts Spark: the session, its class archive, what executors get, and the state store."""
