"""Start Spark: the session, its class archive, archives for executors, and the state store."""
