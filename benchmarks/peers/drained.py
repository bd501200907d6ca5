"""One run of a contestant over a topic: what it does with each event, and how long it took."""

from dataclasses import dataclass

NO = "no"


@dataclass(frozen=True)
class Load:
    """A topic with so many messages."""

    topic: str
    messages: int


@dataclass(frozen=True)
class Work:
    """What a contestant does with an event, a few words each; `NO` is what it leaves out."""

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
    """`seconds` are those that the rate is of; `whole` is from starting it to its end."""

    events: int
    seconds: float
    whole: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


class PeerMissing(Exception):
    """The peer cannot be had on this machine, or does not do the work; says why, in one line."""
