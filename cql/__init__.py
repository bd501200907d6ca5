"""Numbered migrations: NNN_name.cql, applied in order by `adstream migrate`."""
