"""One run of a contestant over a topic: its work for each event, and its duration."""

from dataclasses import dataclass

NO = "no"


@dataclass(frozen=True)
class Load:
    """A topic with so many messages."""

    topic: str
    messages: int


@dataclass(frozen=True)
class Work:
    """A contestant's work for an event, a few words each; `NO` marks missing parts."""

    dedupe: str = NO
    windows: str = "yes"
    totals: str = "yes"
    checkpoints: str = NO
    cassandra: str = NO

    @property
    def counts_once(self) -> bool:
        return self.dedupe != NO


@dataclass(frozen=True)
class Drained:
    """`seconds` are the time for the rate; `whole` is the time from start to end."""

    events: int
    seconds: float
    whole: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class PeerMissing(Exception):
    """The peer cannot be had on this machine, or does not do the work; says why, in one line."""
