"""The front: commands, dashboard, proof of the tables, dead letters, backfill, tour and demo."""
