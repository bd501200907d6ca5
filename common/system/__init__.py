"""This machine: locks, signals, proxies, Python's path, and the jobs that run here."""
