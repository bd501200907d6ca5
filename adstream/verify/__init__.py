"""An independent computation of the tables: raw topic, fastavro and DuckDB; no code of the Spark job."""
