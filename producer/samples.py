"""Documented data: a few events whose result a person can work out, and a page can print."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

MINUTE_MILLIS = 60_000

Event = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """Events in the order of their times. `steps` are the parts that are sent one by one; event times in milliseconds.

    A `recent` sample is for a job that calls an event late a few minutes after its time. The producer moves these
    events to the last minutes before it sends them.
    """

    steps: list[list[Event]]
    recent: bool = False

    @property
    def events(self) -> list[Event]:
        """The events of all steps."""
        return [event for step in self.steps for event in step]

    def at(self, now_ms: int, time_field: str) -> "Sample":
        """Return the sample as sent at `now_ms`: a recent one moves by whole minutes, so that its windows stay."""
        if not self.recent:
            return self
        newest = max(event[time_field] for event in self.events)
        shift = (now_ms - newest) // MINUTE_MILLIS * MINUTE_MILLIS
        moved = [[{**event, time_field: event[time_field] + shift} for event in step] for step in self.steps]
        return replace(self, steps=moved)


def one_step(events: Iterable[Event]) -> Sample:
    """Return a sample that is sent at once."""
    return Sample([list(events)])
