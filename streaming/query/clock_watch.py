"""Notice that somebody has set the machine's clock back while a query runs.

Spark begins a batch at a moment of the wall clock. If the clock goes back by an hour meanwhile, this moment is an hour
away, and no batch begins until then. A real-time batch ends by the same clock. A query that starts anew reads the clock
anew.
"""

import time
from collections.abc import Callable

from streaming.micro_batch.writer import PlanAgain

# A shorter wait is over before a new query has started.
LEAST_SECONDS = 5.0


class ClockSetBack(PlanAgain):
    """The wall clock went back; the query waits for a moment that is too far away."""


class ClockWatch:
    """Compares the wall clock with a monotonic one, both in seconds, from its creation on."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = self._now()

    def set_back_by(self) -> float:
        """Return by how many seconds the clock has gone back; 0 for less than LEAST_SECONDS.

        A clock that goes forward only lets a batch begin earlier. The time that it shows then is what later ones are
        compared with, since Spark waits by this time.
        """
        now = self._now()
        self._ahead = max(self._ahead, now)
        gone = self._ahead - now
        return gone if gone >= LEAST_SECONDS else 0.0

    def _now(self) -> float:
        return self._wall() - self._steady()
