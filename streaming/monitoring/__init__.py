"""What a running job tells: its endpoint, its metrics, its log lines."""
