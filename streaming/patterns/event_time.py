"""Durations in the form that Spark takes."""

from datetime import timedelta

# In a column's metadata this key marks event time and its delay in milliseconds for Spark; `withWatermark` and
# `F.window` set it.
DELAY_KEY = "spark.watermarkDelayMs"


def interval(duration: timedelta) -> str:
    """The duration as the text of a Spark interval. Raises ValueError unless it is whole milliseconds above zero."""
    millis, rest = divmod(duration, timedelta(milliseconds=1))
    if millis <= 0 or rest:
        raise ValueError(f"{duration} is not a duration of whole milliseconds above zero")
    return f"{millis} milliseconds"
