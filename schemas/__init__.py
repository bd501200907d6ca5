"""The Avro contracts, one file per subject and version."""
