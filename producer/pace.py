"""A steady rate, kept by the clock. After a slow moment the pace catches up, so the average holds."""

import time


class Pace:
    """A rate of `rate` events a second from now on; 0 means full speed."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start = time.monotonic()

    def ahead(self, position: int) -> float:
        """Return the seconds until event number `position` is due; negative when it is overdue."""
        if not self._rate:
            return 0.0
        return self._start + position / self._rate - time.monotonic()
