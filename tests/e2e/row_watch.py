"""A reader that polls the tables all the time: no row may ever go back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

from cassandra.cluster import Session

from common.cassandra.session import DRIVER_ERRORS, connect
from common.errors import AdstreamError
from common.settings import Settings
from tests.e2e.updates import stored_by

_PAUSE_SECONDS = 0.05
Place = tuple[str, datetime | None]


class RowWatch:
    """Polls the tables.

    `looks` counts the polls that Cassandra answered. `backwards` lists the rows that went back: place, value before,
    and value after.
    """

    def __init__(self, settings: Settings) -> None:
        self.looks = 0
        self.changes = 0
        self.backwards: list[tuple[Place, object, object]] = []
        self._settings = settings
        self._seen: dict[Place, tuple[int | Decimal, ...]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="row watch")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Poll once more, and then stop."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        with connect(self._settings.cassandra, keyspace=self._settings.cassandra.keyspace) as session:
            self._look(session)
        assert self.looks > 2
        assert self.changes > 0
        assert not self.backwards, self.backwards[:3]

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                with connect(self._settings.cassandra, keyspace=self._settings.cassandra.keyspace) as session:
                    while not self._stop.wait(_PAUSE_SECONDS):
                        self._look(session)
            except (AdstreamError, *DRIVER_ERRORS):
                continue  # the test takes Cassandra away on purpose

    def _look(self, session: Session) -> None:
        for place, (clicks, views, cost, version) in stored_by(session).items():
            now = (version, clicks, views, cost)
            before = self._seen.get(place)
            if before is not None and any(after < earlier for after, earlier in zip(now, before, strict=True)):
                self.backwards.append((place, before, now))
            self.changes += now != before
            self._seen[place] = now
        self.looks += 1


@contextmanager
def watched(settings: Settings) -> Iterator[RowWatch]:
    """Poll the tables until the block ends. No row may have gone back by then."""
    watch = RowWatch(settings)
    watch.start()
    try:
        yield watch
    finally:
        watch.end()
