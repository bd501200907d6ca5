"""The dashboard: pages over the tables and jobs, which read by key only, whatever the size of the tables."""
