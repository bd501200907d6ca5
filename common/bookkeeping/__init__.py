"""The writers' own records in Cassandra: leases, counting checkpoints, corrections."""
