"""The loop of the applying process: read waiting rows, write the newest row of each key, wait for the writes, commit.

The process commits only after Cassandra's acknowledgement. So after a crash at any point rows come again, and none is
lost. While a service is down the process stays in its group and retries, for at most five minutes.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from common.cassandra.session import TRANSIENT
from common.errors import AdstreamError, ServiceUnavailable, SinkError
from streaming.apply.changelog import Changelog
from streaming.apply.freshness import Freshness
from streaming.apply.newest import Newest
from streaming.apply.target import Target, Written
from streaming.apply.updates import Update

LONGEST_AWAY_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
# A wait checks this often whether somebody asked for a stop.
_SLICE_SECONDS = 0.5


@dataclass
class Figures:
    """The counts of the process since it began. `newest_event` is in milliseconds since 1970, 0 before the first."""

    read: int = 0
    written: int = 0
    newest_event: int = 0
    freshness: Freshness = field(default_factory=Freshness)


class Applier:
    """Applies one topic to one job's tables. `notice` takes a line for people."""

    def __init__(
        self,
        changelog: Changelog,
        target: Target,
        *,
        notice: Callable[[str], None],
        longest_away: float = LONGEST_AWAY_SECONDS,
    ) -> None:
        self.changelog = changelog
        self.newest = Newest()
        self.figures = Figures()
        self.away = ""
        self._target = target
        self._notice = notice
        self._longest_away = longest_away

    def run(self, stopping: threading.Event, *, told: Callable[[], None], until: Callable[[], bool]) -> None:
        """Apply rows until somebody asks for a stop, or until `until` returns true.

        Calls `told` at least four times a second.

        Raises ServiceUnavailable or SinkError if a service stays down, and BadInput for a message that is not a row.
        """

        def wait(seconds: float) -> None:
            end = time.monotonic() + seconds
            while not stopping.is_set() and time.monotonic() < end:
                self.changelog.wait(min(seconds, _SLICE_SECONDS))
                told()

        while not stopping.is_set():
            updates = self.changelog.updates()
            if not self.changelog.away:
                self._set_away("")
            elif not self.away:
                self._set_away(self.changelog.away)
            if updates:
                self._apply(updates, stopping, wait)
            self.changelog.applied()
            told()
            if until():
                return

    def _apply(self, updates: list[Update], stopping: threading.Event, wait: Callable[[float], None]) -> None:
        self.figures.read += len(updates)
        chosen = self.newest.choose(updates)
        if not chosen:
            return
        written = self._written(chosen, stopping, wait)
        self.newest.written(chosen)
        self.figures.written += written.rows
        self.figures.newest_event = max(self.figures.newest_event, int(written.newest_events.max()))
        self.figures.freshness.observe(time.time() - written.newest_events / 1_000)

    def _written(self, chosen: list[Update], stopping: threading.Event, wait: Callable[[float], None]) -> Written:
        """Write the rows; while Cassandra is away, retry after growing pauses."""
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                written = self._target.write(chosen)
            except (ServiceUnavailable, SinkError) as error:
                left = self._longest_away - (time.monotonic() - began)
                if not _may_pass(error) or left <= 0 or stopping.is_set():
                    raise _unwritten(error, len(chosen)) from error
                self._set_away(error.problem)
                wait(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._set_away("")
                self.changelog.go_on()
                return written

    def _set_away(self, why: str) -> None:
        """Report when a service goes away, and when it is back. Does not repeat the report in between."""
        before, self.away = self.away, why
        if why and not before:
            self._notice(f"{why}; trying again, for {self._longest_away / 60:g} minutes at most")
        elif before and not why:
            self._notice("all services answer again")


def _may_pass(error: AdstreamError) -> bool:
    return isinstance(error, ServiceUnavailable) or isinstance(error.__cause__, (*TRANSIENT, ServiceUnavailable))


def _unwritten(error: AdstreamError, rows: int) -> AdstreamError:
    """Return the same error, with its consequence for the rows."""
    kept = f"{rows:,} rows are not in the tables yet, and come again at the next start"
    return type(error)(f"{error.problem}; {kept}", error.remedy)
