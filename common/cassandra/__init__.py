"""Cassandra from the settings: sessions, and the migrations in `cql/`."""
