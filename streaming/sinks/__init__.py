"""The destinations of results.

A sink that keeps rows writes absolute values by primary key: a replayed batch rewrites the same rows. Alerts and dead
letters are published at least once, and can be recognised as copies.
"""
