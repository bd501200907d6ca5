"""Notes what must become of each message that is sent, and compares that with the tables and the ledger.

The notes come from the sent events alone, and not from the topic. So they also show a message that the topic lost.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.days.plan import HOUR_MS, Plan, by_hour, moment, starts_of
from producer.records import Record

LATENESS_MS = 10 * 60_000
_GOOD = ("on_time", "late", "out_of_order", "duplicate")
_SHOWN = 5

# (ad, start of the window in milliseconds)
Key = tuple[str, int]
# clicks, views, cost in millionths
Sums = tuple[int, int, int]


@dataclass
class Book:
    """The fate of each message that was sent, and the sums of each window."""

    fates: Counter[str] = field(default_factory=Counter)
    windows: dict[Key, Sums] = field(default_factory=dict)

    def note(self, record: Record, *, has_id: bool) -> None:
        """Note a message. Without an id in its schema, a repetition counts again."""
        fate = fate_of(record, has_id=has_id)
        self.fates[fate] += 1
        if fate == "counted":
            event = record.event
            more = (event["clicks"], event["views"], round(event["cost"] * 1_000_000))
            for start in starts_of(event["timestamp"]):
                key = event["ad_id"], start
                clicks, views, micros = self.windows.get(key, (0, 0, 0))
                self.windows[key] = clicks + more[0], views + more[1], micros + more[2]


def fate_of(record: Record, *, has_id: bool) -> str:
    """Return the fate of a message whose time in Kafka is `record.stamp`."""
    if record.spoil is not None or record.kind not in _GOOD:
        return "dead"
    if record.event["timestamp"] < record.stamp - LATENESS_MS:
        return "late"
    return "duplicate" if record.kind == "duplicate" and has_id else "counted"


@dataclass(frozen=True)
class Hour:
    """The windows that begin in an hour of UTC (milliseconds): by the plan, by the sender's notes, and in the table.

    A window has a row for each ad with events. `differing` rows have other sums than those that were sent.
    """

    hour: int
    planned: int
    windows: int
    rows_sent: int
    rows: int
    differing: int

    @property
    def right(self) -> bool:
        return self.planned == self.windows and self.rows_sent == self.rows and not self.differing


def hours(plan: Plan, sent: Mapping[Key, Sums], found: Mapping[Key, Sums]) -> list[Hour]:
    """Count windows and rows by hour. The first window of a day begins half a minute before it."""
    planned, windows = by_hour(plan.starts()), by_hour(list({start for _, start in found}))
    rows_sent, rows = by_hour([start for _, start in sent]), by_hour([start for _, start in found])
    differing = by_hour([key[1] for key, sums in found.items() if sent.get(key, sums) != sums])
    every = sorted({*range(plan.begin, plan.end, HOUR_MS), *planned, *rows_sent, *rows})
    return [Hour(hour, *(each[hour] for each in (planned, windows, rows_sent, rows, differing))) for hour in every]


def problems(plan: Plan, sent: Mapping[Key, Sums], found: Mapping[Key, Sums]) -> list[str]:
    """Return a line for each kind of difference between plan, notes and table, with the first windows."""
    planned, there = set(plan.starts()), {start for _, start in found}
    both = sent.keys() & found.keys()
    told = (
        ("planned windows have no row", sorted(planned - there)),
        ("windows must not exist by the plan", sorted(there - planned)),
        ("rows are missing", sorted(sent.keys() - found.keys(), key=_by_time)),
        ("rows belong to nothing that was sent", sorted(found.keys() - sent.keys(), key=_by_time)),
        ("rows have other sums than were sent", sorted((k for k in both if found[k] != sent[k]), key=_by_time)),
    )
    return [f"{len(places):,} {what}: {', '.join(map(_named, places[:_SHOWN]))}" for what, places in told if places]


def fates_that_differ(sent: Mapping[str, int], ledger: Mapping[str, int]) -> list[str]:
    """Compare the fates that the messages must have with the ledger of `adstream verify`."""
    names = dict.fromkeys([*sent, *ledger])
    return [
        f"{ledger.get(name, 0):,} messages are {name.replace('_', ' ')}, must be {sent.get(name, 0):,}"
        for name in names
        if ledger.get(name, 0) != sent.get(name, 0)
    ]


def _by_time(key: Key) -> tuple[int, str]:
    return key[1], key[0]


def _named(place: Any) -> str:  # noqa: ANN401 - a start, or an ad with a start
    ad, start = place if isinstance(place, tuple) else ("", place)
    return f"{ad} {moment(start):%Y-%m-%dT%H:%M:%SZ}".lstrip()
