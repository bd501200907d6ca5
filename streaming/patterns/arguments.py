"""Keyword arguments that many patterns have, each with its meaning.

A pattern's keyword arguments are the options of its job (streaming.parameters). The type defines the form of an
option's value. The text beside the type is its help. A pattern with a different meaning writes its own `Annotated`.
"""

from datetime import timedelta
from typing import Annotated

Window = Annotated[timedelta, "Length of a window."]
# A day by ten minutes. Spark's plan has an expression for each window of an event. With 360 windows, a driver of 1 GB
# ran out of memory.
MOST_SLIDES = 144
Slide = Annotated[
    timedelta, f"Time between two windows. A window is a whole number of slides long, at most {MOST_SLIDES}."
]
Gap = Annotated[timedelta, "Time without events that ends a session."]
Dedupe = Annotated[bool, "Count a repeated `event_id` once."]

Watermark = Annotated[timedelta, "How long a window waits for late events."]
# Mode complete keeps all windows for ever.
UpdateWatermark = Annotated[timedelta, "How long a window waits for late events, in mode update only."]
StateWatermark = Annotated[timedelta, "How late an event may come."]
IdsWatermark = Annotated[timedelta, "How late an event may come. Its id is remembered at least as long."]
