"""One run of a contestant over a topic."""

from dataclasses import dataclass


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
    """The peer cannot be had on this machine; says why, in one line."""
