"""The applying process: it moves a job's rows from its updates topic into its tables, and no row goes back."""
