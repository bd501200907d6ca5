"""The dashboard: pages over the tables and jobs. They read by key only, whatever the size of the tables."""
