"""What writers keep about themselves in Cassandra: leases, checkpoints that count, corrections."""
