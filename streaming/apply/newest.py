"""Which of the rows that wait are written: of each key the newest one, unless a newer one was written before.

Only speed rests on what is remembered here. Cassandra keeps the row with the largest version whatever arrives when, so
a process that has just started, or that has forgotten a key, writes a row too many and changes nothing.
"""

from collections.abc import Iterable

from streaming.apply.updates import Update

KEYS_REMEMBERED = 200_000


class Newest:
    """Remembers at least the last `remembered` keys that were written, and at most twice as many.

    `coalesced` counts rows for which a newer one waited, `outdated` those that were not newer than what was written.
    """

    def __init__(self, remembered: int = KEYS_REMEMBERED) -> None:
        self.coalesced = 0
        self.outdated = 0
        self._remembered = remembered
        # Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def choose(self, updates: Iterable[Update]) -> list[Update]:
        """The rows to write, at most one of each key."""
        chosen: dict[bytes, Update] = {}
        for update in updates:
            waiting = chosen.get(update.key)
            if waiting is not None:
                self.coalesced += 1
                if waiting.version >= update.version:
                    continue
            elif self._written(update.key) >= update.version:
                self.outdated += 1
                continue
            chosen[update.key] = update
        return list(chosen.values())

    def written(self, updates: Iterable[Update]) -> None:
        """Cassandra has acknowledged these rows."""
        for update in updates:
            self._young[update.key] = max(update.version, self._written(update.key))
            if len(self._young) >= self._remembered:
                self._old, self._young = self._young, {}

    def _written(self, key: bytes) -> int:
        found = self._young.get(key)
        return found if found is not None else self._old.get(key, -1)
