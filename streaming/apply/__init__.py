"""The applying process: a job's rows from its updates topic into its tables, so that no row goes back."""
