"""Late events as every part counts them: by rounded delay, and in the table `late_events`."""
