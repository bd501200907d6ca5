"""The dashboard: pages over the tables and jobs. They read by key only, so large tables cost no more."""
