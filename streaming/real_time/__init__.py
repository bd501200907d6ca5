"""A job in Spark's real-time mode: rows as soon as their events are read, by way of a topic, exact all the same."""
