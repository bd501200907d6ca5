"""The destinations of results.

Every sink writes absolute values by primary key: a replayed batch rewrites the same rows.
"""
