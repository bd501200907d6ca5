"""Thousands of messages of a careless or malicious producer, from one random seed.

Hypothesis draws the seed, the composition, and a pool of texts and numbers. A `Random` makes the messages: if
Hypothesis drew a thousand of them one by one, it would take longer than the job. This module writes the Avro itself,
piece by piece, because no library writes broken Avro.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from common.avro import wire

MINUTE = 60_000
LONG = 2**63
MEGABYTE = 2**20
# The first and last millisecond that still fits into 64 bits of microseconds.
LAST_MILLI = (LONG - 1) // 1_000

TEXTS = (
    "", " ", "   ", "\t", "\n", "\x00", "ad\x00", "\x00ad", "a b", " ad ", "AD", "ad", "x" * 512, "x" * 513, "é" * 256,
    "é" * 257, "'", '"', "''; SELECT 1; --", "a'b", "a;b", "--", "/* */", "$$", "$$;$$", "{}", "%s",
    "?", ":name", "\\", "null", "NULL", "NaN", "e\u0301", "\u00e9", "\u0301", "\u202eda\u202c", "שלום", "مرحبا", "🇨🇭",
    "👩‍👩‍👧‍👦", "\ufeffad", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff", "\ue000", "\u200b", "\u00a0",
    "\u2028", "\x7f", "\u0080", "\U00020000", "\U000e0001", "../ad", "${ad}",
    "<b>", "a" * 200 + "\n",
)  # fmt: skip
NOT_UTF8 = (
    b"\xff", b"a\xffb", b"\xc3", b"\xc3\x28", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xc0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xfe\xfe\xff\xff", b"ad\xe9",
)  # fmt: skip
COSTS = (
    0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-300, 4.9999999e-7, 5e-7, 1.5e-6, 0.1, 0.285, 1.0000005,
    999_999.9999995, 1e6, 1_000_000.0000000001, 1_000_000.000001, 1e300, 1.7976931348623157e308, -1e308, -0.0000001,
    float("nan"), float("inf"), float("-inf"), -1.0,
)  # fmt: skip
INTS = (0, 1, 63, 64, 8191, 8192, 2**20, 2**27 - 1, 2**27, 2**31 - 1, -1, -64, -65, -(2**31))
# None of these numbers is an int. Cut to 32 bits, the last ones would be.
NOT_INTS = (2**31, -(2**31) - 1, 2**32 + 7, 2**32 + 2**28, 2**33 + 2**30, 2**34 + 2**27, 2**35, LONG - 1, -LONG)
# Lengths that a message may claim: around our limit, and impossible ones.
LENGTHS = (MEGABYTE + 1, MEGABYTE + 2, MEGABYTE, MEGABYTE - 1, 10**6, -1, -2, -MEGABYTE, -MEGABYTE - 1)


class Payload(NamedTuple):
    """One message as Kafka stores it, and the kind of its damage. `arrival` is in milliseconds."""

    kind: str
    key: bytes | None
    value: bytes | None
    arrival: int


@dataclass(frozen=True)
class Pool:
    """Values that Hypothesis draws. The messages mix them with the constants above."""

    seed: int
    skewed: bool
    texts: Sequence[str]
    costs: Sequence[float]
    longs: Sequence[int]
    chunks: Sequence[bytes]
    spoilt: float


@dataclass
class AdMessage:
    """The pieces of an ad event in Avro, in the order of the contract. A test may put any bytes in."""

    schema_id: int
    ad_id: bytes
    timestamp: int
    clicks: int
    views: int
    cost: float
    event_id: bytes | None = None
    pieces: dict[str, bytes] = field(default_factory=dict)

    def encoded(self, version: int) -> bytes:
        return wire.frame(self.schema_id, b"".join(self.parts(version).values()))

    def parts(self, version: int) -> dict[str, bytes]:
        parts = {
            "ad_id.length": varint(len(self.ad_id)),
            "ad_id": self.ad_id,
            "timestamp": varint(self.timestamp),
            "clicks": varint(self.clicks),
            "views": varint(self.views),
            "cost": struct.pack("<d", self.cost),
        }
        if version >= 2:
            parts |= _optional("event_id", self.event_id)
        if version >= 3:
            parts |= _optional("country", b"CH" if self.clicks % 2 else None)
        return parts | {name: piece for name, piece in self.pieces.items() if name in parts}


def varint(number: int, extra: int = 0) -> bytes:
    """Return a zig-zag varint of 64 bits, `extra` bytes longer than necessary."""
    rest = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    found = bytearray()
    while True:
        found.append(rest & 0x7F)
        rest >>= 7
        if not rest:
            break
    found += bytes(extra)
    return bytes([byte | 0x80 for byte in found[:-1]]) + found[-1:]


def _optional(name: str, value: bytes | None) -> dict[str, bytes]:
    if value is None:
        return {f"{name}.branch": varint(0)}
    return {f"{name}.branch": varint(1), f"{name}.length": varint(len(value)), name: value}


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    every_plane = st.text(st.characters(codec="utf-8"), max_size=20)
    return Pool(
        seed=draw(st.integers(0, 2**32 - 1)),
        skewed=draw(st.booleans()),
        texts=draw(st.lists(every_plane, min_size=5, max_size=15)),
        costs=draw(st.lists(st.floats(), min_size=5, max_size=15)),
        longs=draw(st.lists(st.integers(-LONG, LONG - 1), min_size=5, max_size=15)),
        chunks=draw(st.lists(st.binary(max_size=40), min_size=5, max_size=15)),
        spoilt=draw(st.sampled_from([0.2, 0.5, 0.9])),
    )


class Maker:
    """Makes messages of one topic. `writers` maps schema ids to versions of the contract."""

    def __init__(self, pool: Pool, writers: dict[int, int], now: int, topic: str = "ads_data") -> None:
        self._pool, self._writers, self._now, self._topic = pool, writers, now, topic
        self.rng = Random(pool.seed)
        self._sent: list[Payload] = []
        self._made = 0

    def payloads(self, count: int, *, large: int = 3) -> list[Payload]:
        """Return `count` messages. `large` of them have one to two megabytes, and one in twenty is a repetition."""
        rng = self.rng
        for number in range(count - large):
            if self._sent and rng.random() < 0.05:
                again = rng.choice(self._sent)
                self._sent.append(again._replace(kind=f"again: {again.kind}"))
                continue
            spoilt = rng.random() < self._pool.spoilt
            kind = rng.choice(list(SPOILERS)) if spoilt else "values"
            self._add(kind, SPOILERS[kind](self) if spoilt else self.good(values=number % 3 > 0))
        for _ in range(large):
            kind = rng.choice(list(LARGE))
            self._add(kind, LARGE[kind](self))
        rng.shuffle(self._sent)
        return self._sent

    def _add(self, kind: str, value: bytes | None) -> None:
        key = self.rng.choice([None, b"", b"ad-1", b"ad-1", b"\x00\xff", b"k" * 1000])
        self._sent.append(Payload(kind, key, value, self._now + self.rng.randrange(-MINUTE, MINUTE)))

    def event(self, *, values: bool = True) -> tuple[AdMessage, int]:
        """Return an event with an id of its own, by a random writer, and the version of that writer."""
        rng = self.rng
        schema_id, version = rng.choice(list(self._writers.items()))
        ad = b"ad-1" if self._pool.skewed and rng.random() < 0.99 else rng.choice([b"ad-2", b"ad-3", b"ad-4"])
        own_id = rng.choice([None, b"", self._unique(), self._unique(), f"{self._topic}:0:{self._count()}".encode()])
        message = AdMessage(schema_id, ad, self._now - rng.randrange(5 * MINUTE), 1, rng.randrange(99), 0.25, own_id)
        if values:
            for name in rng.sample(list(VALUES), rng.choice([0, 1, 1, 1, 2])):
                setattr(message, name, VALUES[name](self))
        return message, version

    def _count(self) -> int:
        self._made += 1
        return self._made

    def _unique(self) -> bytes:
        """Return a unique id. If two different events had the same id, either might count."""
        return f"{self.rng.getrandbits(96):024x}".encode()

    def id_text(self) -> bytes | None:
        text = self.text()
        return text + self._unique() if text else None

    def good(self, *, values: bool = False) -> bytes:
        message, version = self.event(values=values)
        return message.encoded(version)

    def text(self) -> bytes:
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice([b"", b"ad-", "é".encode()]) + rng.choice(NOT_UTF8) + rng.choice([b"", b"z"])
        if rng.random() < 0.4:
            plane = rng.randrange(17) << 16
            points = [plane + rng.randrange(2**16) for _ in range(rng.randrange(1, 9))]
            return "".join(chr(point) for point in points).encode(errors="surrogatepass")
        return rng.choice([*TEXTS, *self._pool.texts]).encode()

    def timestamp(self) -> int:
        rng, late, ahead = self.rng, self._now - 10 * MINUTE, self._now + MINUTE
        edges = (0, 1, -1, -1000, late, late - 1, late + 1, ahead, ahead - 1, ahead + 1, LAST_MILLI, -LAST_MILLI)
        beyond = (LAST_MILLI + 1, -LAST_MILLI - 1, LONG - 1, -LONG, LONG // 1_000, self._now + 315_360_000_000)
        return rng.choice([*edges, *beyond, rng.choice(self._pool.longs), self._now * 1_000, self._now // 1_000])

    def cost(self) -> float:
        rng = self.rng
        half = float(f"{rng.randrange(10 ** rng.randrange(1, 7))}.{rng.randrange(10**6):06d}5")
        any_double: float = struct.unpack("<d", rng.randbytes(8))[0]
        return rng.choice([rng.choice([*COSTS, *self._pool.costs]), half, any_double, rng.random()])

    def whole(self) -> int:
        return self.rng.choice(INTS)

    def chunk(self) -> bytes:
        return self.rng.choice(
            [*self._pool.chunks, self.rng.randbytes(self.rng.randrange(1, 60)), b"\x00", b"\xff" * 10]
        )

    def mutated(self) -> bytes:
        """Return a good message with one to three random damages."""
        value = bytearray(self.good())
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            self.rng.choice(ACCIDENTS)(self, value)
        return bytes(value)

    def restructured(self) -> bytes:
        """Return a good message with one piece replaced by a wrong or needlessly long one."""
        rng = self.rng
        message, version = self.event(values=False)
        message.event_id = message.event_id or self._unique()
        parts = message.parts(version)
        name = rng.choice([name for name in parts if name not in ("ad_id", "event_id", "cost", "country")])
        if name.endswith(".length"):
            wrong = varint(rng.choice(LENGTHS))
        elif name.endswith(".branch"):
            wrong = varint(rng.choice([2, -1, 2**31, 2**32, 2**32 + 1, LONG - 1]))
        elif name in ("clicks", "views"):
            wrong = varint(rng.choice(NOT_INTS))
        else:
            wrong = b"\xff" * 10 + b"\x01"
        as_it_is = _number(parts[name])
        endless = b"\x80" * rng.choice([4, 9, 10, 70])
        message.pieces[name] = rng.choice(
            [wrong, wrong, varint(as_it_is, rng.randrange(1, 9)), endless, parts[name][:-1] + b"\x7f"]
        )
        return message.encoded(version)


def _number(piece: bytes) -> int:
    raw = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(piece))
    return (raw >> 1) ^ -(raw & 1)


def _flip(make: Maker, value: bytearray) -> None:
    if value:
        value[make.rng.randrange(len(value))] ^= 1 << make.rng.randrange(8)


def _cut(make: Maker, value: bytearray) -> None:
    del value[make.rng.randrange(len(value) + 1) :]


def _drop(make: Maker, value: bytearray) -> None:
    start = make.rng.randrange(len(value) + 1)
    del value[start : start + make.rng.randrange(1, 6)]


def _insert(make: Maker, value: bytearray) -> None:
    start = make.rng.randrange(len(value) + 1)
    value[start:start] = make.chunk()


def _repeat(make: Maker, value: bytearray) -> None:
    start = make.rng.randrange(len(value) + 1)
    value[start:start] = value[start : start + make.rng.randrange(1, 20)]


def _overwrite(make: Maker, value: bytearray) -> None:
    start, chunk = make.rng.randrange(len(value) + 1), make.chunk()
    value[start : start + len(chunk)] = chunk


ACCIDENTS = (_flip, _flip, _flip, _cut, _drop, _insert, _repeat, _overwrite)
VALUES: dict[str, Callable[[Maker], object]] = {
    "ad_id": Maker.text,
    "event_id": Maker.id_text,
    "timestamp": Maker.timestamp,
    "clicks": Maker.whole,
    "views": Maker.whole,
    "cost": Maker.cost,
}


def _other_id(make: Maker) -> bytes:
    known = list(make._writers)
    number = make.rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, make.rng.choice(known) + 1, *known, *known])
    return wire.frame(number, make.good()[wire.HEADER_BYTES :])


SPOILERS: dict[str, Callable[[Maker], bytes | None]] = {
    "null": lambda make: None,
    "empty": lambda make: b"",
    "random bytes": lambda make: make.rng.randbytes(make.rng.randrange(1, 80)),
    "drawn bytes": Maker.chunk,
    "header and random bytes": lambda make: make.good()[:5] + make.rng.randbytes(make.rng.randrange(60)),
    "header and chunk": lambda make: make.good()[:5] + make.chunk(),
    "mutated": Maker.mutated,
    "mutated twice as often": Maker.mutated,
    "restructured": Maker.restructured,
    "restructured twice as often": Maker.restructured,
    "magic byte": lambda make: bytes([make.rng.randrange(256)]) + make.good()[1:],
    "schema id": _other_id,
    "bytes behind it": lambda make: make.good() + make.chunk(),
    "twice": lambda make: make.good() * 2,
    "JSON": lambda make: b'{"ad_id": "ad-1", "clicks": 1}',
}


def _with(make: Maker, **pieces: bytes) -> bytes:
    message, version = make.event(values=False)
    for name, piece in pieces.items():
        setattr(message, name, piece)
    return message.encoded(max(version, 2) if "event_id" in pieces else version)


LARGE: dict[str, Callable[[Maker], bytes]] = {
    "1 MB ad_id": lambda make: _with(make, ad_id=b"x" * (MEGABYTE + make.rng.choice([-1, 0, 1]))),
    "1 MB event_id": lambda make: _with(make, event_id="é".encode() * (MEGABYTE // 2)),
    "1 MB behind it": lambda make: make.good() + bytes(make.rng.randrange(MEGABYTE, 2 * MEGABYTE)),
    "2 MB of random bytes": lambda make: make.good()[:5] + make.rng.randbytes(2 * MEGABYTE),
    "2 MB of continued varints": lambda make: make.good()[:5] + b"\xff" * (2 * MEGABYTE),
}
