"""The real services without containers: JVM parts, Kafka, the schema registry, Cassandra."""
