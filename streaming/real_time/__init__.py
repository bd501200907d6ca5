"""A job in Spark's real-time mode. Rows leave as soon as Spark reads their events, through a topic, and stay exact."""
