"""One run of a contestant over a topic: its work for each event, and its duration."""

from dataclasses import dataclass

NO = "no"


@dataclass(frozen=True)
class Load:
    """A topic and the number of its messages."""

    topic: str
    messages: int


@dataclass(frozen=True)
class Work:
    """The parts of a contestant's work for an event, in a few words each. `NO` marks a missing part."""

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
    """The duration of a run.

    The rate uses `seconds`. `whole` is the time from start to end.
    """

    events: int
    seconds: float
    whole: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class PeerMissing(Exception):
    """This machine cannot run the peer, or the peer's result is wrong. The message says why, in one line."""
