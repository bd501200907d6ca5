"""An independent computation of what the tables must hold: raw topic, fastavro and DuckDB; nothing of the Spark job."""
