"""Live events from a seed, of any source: a few keys get most of them, and some events are late, repeated or broken."""

import hashlib
import inspect
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from random import Random
from typing import Any, Protocol

from common.errors import AdstreamError, BadInput, ConfigError
from common.system.user_code import error_place, error_text
from producer import broken
from producer.records import Record
from producer.timeline import Timeline

MOST_KEYS = 1_000_000
LATE_MILLIS = (11 * 60_000, 30 * 60_000)
OUT_OF_ORDER_MILLIS = (1, 120_000)
REPEAT_WITHIN_EVENTS = 256
REPEAT_WITHIN_MILLIS = 60_000

# (random numbers, key, event time in milliseconds, an id that no other event of any run has) -> event
EventMaker = Callable[[Random, str, int, str], dict[str, Any]]


@dataclass(frozen=True)
class Keys:
    """The form of live keys: `prefix` and a number of at least `width` digits; `count` is their default number.

    The width distinguishes them from the keys of the samples, which have no leading zeros. A width of 0 gives the same
    keys as the samples.
    """

    prefix: str
    width: int = 3
    count: int = 100

    def names(self, count: int) -> list[str]:
        width = max(self.width, len(str(count))) if self.width else 0
        return [f"{self.prefix}{number:0{width}}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class Mix:
    """The composition of the traffic.

    It has the number of keys (None is the source's default) and their unevenness (Zipf exponent, 0 is even). It also
    has the shares of late, repeated and broken events.
    """

    keys: int | None = None
    skew: float = 1.0
    late: float = 0.0
    out_of_order: float = 0.0
    duplicates: float = 0.0
    broken: float = 0.0

    def __post_init__(self) -> None:
        if self.keys is not None and not 1 <= self.keys <= MOST_KEYS:
            raise ConfigError(f"--keys {self.keys} cannot be used", f"give 1 to {MOST_KEYS}")
        if not 0 <= self.skew <= 10:
            raise ConfigError(f"--skew {self.skew} cannot be used", "give 0 (even) to 10; 1 is Zipf's law")
        for name in (field.name for field in fields(self)[2:]):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"--{name.replace('_', '-')} is a share of all events", "give 0 to 1")
        if self.late + self.out_of_order + self.duplicates + self.broken > 1:
            raise ConfigError("the shares of late, out-of-order, duplicate and broken events exceed 1", "lower one")


class Live(Protocol):
    """The interface of a source for traffic; producer.source.Source describes each member."""

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def make(self) -> EventMaker: ...

    @property
    def keys(self) -> Keys | None: ...

    @property
    def broken_values(self) -> Mapping[str, broken.ValueSpoiler]: ...


class Traffic:
    """An endless run of records by the contract of `source`; the same arguments give the same records.

    An on-time event happens when the timeline says, a late one 11 to 30 minutes before, an out-of-order one up to 2
    minutes before. A duplicate is a copy of one of the last events, with its id, if any. Ids differ between runs with
    any difference in source, seed, mix or start.
    """

    def __init__(self, source: Live, seed: int, mix: Mix, timeline: Timeline) -> None:
        self._name = source.name
        self._make = source.make
        self._key = source.key
        self._spoilers: Mapping[str, broken.ValueSpoiler] = source.broken_values
        self._kinds = (*broken.BYTES, *self._spoilers)
        self._rng = Random(seed)
        self._mix = mix
        self._timeline = timeline
        number = mix.keys or (source.keys.count if source.keys else 1)
        self._keys = source.keys.names(number) if source.keys else [""]
        run = repr((source.name, seed, number, astuple(mix)[1:], timeline.start_ms, timeline.step_ms)).encode()
        self._run_id = hashlib.blake2b(run, digest_size=8).hexdigest()
        self._weights = list(accumulate(1 / rank**mix.skew for rank in range(1, len(self._keys) + 1)))
        self._recent: deque[tuple[int, Record]] = deque(maxlen=REPEAT_WITHIN_EVENTS)

    def __iter__(self) -> Iterator[Record]:
        mix = self._mix
        late = mix.late
        out_of_order = late + mix.out_of_order
        duplicate = out_of_order + mix.duplicates
        spoilt = duplicate + mix.broken
        draw = self._rng.random
        for position in count():
            now = self._timeline.at(position)
            fate = draw()
            if fate >= spoilt:
                record = self._event(position, now, "on_time")
            elif fate < late:
                record = self._event(position, now - self._between(LATE_MILLIS), "late")
            elif fate < out_of_order:
                record = self._event(position, now - self._between(OUT_OF_ORDER_MILLIS), "out_of_order")
            elif fate < duplicate:
                record = self._again(now) or self._event(position, now, "on_time")
            else:
                yield self._broken(self._event(position, now, "on_time"))
                continue
            if mix.duplicates and record.kind != "duplicate":
                self._recent.append((now, record))
            yield record

    def _event(self, position: int, timestamp: int, kind: str) -> Record:
        weights = self._weights
        key = self._keys[bisect(weights, self._rng.random() * weights[-1], hi=len(weights) - 1)]
        try:
            event = self._make(self._rng, key, timestamp, f"{self._run_id}-{position}")
            key = key or str(event[self._key])
        except AdstreamError:
            raise
        except Exception as error:
            file = Path(inspect.getfile(inspect.unwrap(self._make)))
            raise BadInput(
                f"the generator of {self._name} failed: {error_text(error)}", f"correct {error_place(error, file)}"
            ) from error
        return Record(key, event, kind)

    def _again(self, now: int) -> Record | None:
        """Return one of the last events. None if all are too old for a plain repetition."""
        while self._recent and now - self._recent[0][0] > REPEAT_WITHIN_MILLIS:
            self._recent.popleft()
        if not self._recent:
            return None
        record = self._recent[int(self._rng.random() * len(self._recent))][1]
        return record._replace(kind="duplicate")

    def _broken(self, good: Record) -> Record:
        kind = self._kinds[int(self._rng.random() * len(self._kinds))]
        if kind in self._spoilers:
            event = self._spoilers[kind](good.event)
            return Record(str(event[self._key]), event, kind)
        return good._replace(kind=kind, spoil=partial(_spoil, kind, self._rng.getrandbits(64)))

    def _between(self, bounds: tuple[int, int]) -> int:
        low, high = bounds
        return low + int(self._rng.random() * (high - low + 1))


def _spoil(kind: str, seed: int, good: bytes) -> bytes:
    return broken.BYTES[kind](good, Random(seed))
