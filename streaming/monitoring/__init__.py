"""The reports of a running job: its endpoint, its metrics, its log lines."""
