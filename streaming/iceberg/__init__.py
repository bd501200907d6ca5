"""The lakehouse: the Iceberg catalog, the daily jobs, and the checks of result tables."""
