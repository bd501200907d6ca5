"""One file per pattern: pure DataFrame -> DataFrame, no Kafka, no Cassandra, no settings."""
