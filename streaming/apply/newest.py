"""Choose the waiting rows to write: the newest of each key, unless a newer one was written before.

This memory only saves writes. Cassandra keeps the row with the largest version, in any order of arrival. A process that
has just started, or has evicted a key, writes one row too many and changes nothing.
"""

from collections.abc import Iterable

from streaming.apply.updates import Update

KEYS_REMEMBERED = 200_000


class Newest:
    """Remembers the versions of at least the last `remembered` written keys, and at most twice as many.

    `coalesced` counts rows left out because a newer one waited, `outdated` rows not newer than the written one.
    """

    def __init__(self, remembered: int = KEYS_REMEMBERED) -> None:
        self.coalesced = 0
        self.outdated = 0
        self._remembered = remembered
        # Two generations: a full young one becomes the old one, and the previous old one is dropped.
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def choose(self, updates: Iterable[Update]) -> list[Update]:
        """Return the rows to write, at most one of each key."""
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
        """Remember that Cassandra has acknowledged these rows."""
        for update in updates:
            self._young[update.key] = max(update.version, self._written(update.key))
            if len(self._young) >= self._remembered:
                self._old, self._young = self._young, {}

    def _written(self, key: bytes) -> int:
        found = self._young.get(key)
        return found if found is not None else self._old.get(key, -1)
