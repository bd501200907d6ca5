"""Sensor readings as JSON, good and bad, and plain Python's judgement by the rules of streaming.events.json_events."""

import json
import re
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.property.payloads import NOT_UTF8, TEXTS

DATED = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
SECONDS = re.compile(r"[1-9]\d{9}", re.ASCII)
# Jackson's limits.
DEEPEST, LONGEST_NUMBER = 1_000, 1_000

TIMES = (
    '"2026-03-01T12:00:00Z"', '"2026-03-01T12:00:00.123456789Z"', '"2026-03-01 12:00"', '"2026-03-01"', "1700000000",
    '"1700000000"', "0", "20260301", '"0170000000"', "1700000000000", "99999999999", "999999999999",
    "-5", "1.7e9", '"12:30"', '"T12:30"', '"2026"', '"2026-03"',
    '"now"', '"epoch"', '""', '"2026-02-30"', '"2024-02-29"', '"2026-13-01"', '"2026-03-01T24:00:00Z"', "null", "true",
    '"2026-03-01T12:60"', '"2026-03-01T12:00:00+01:00"', '"2026-03-01T12:00:00-18:00"', '"2026-03-01T12:00:00+19:00"',
    '"-0001-01-01"', '"+294248-01-01"', '"9999-12-31T23:59:59Z"', '"0001-01-01"', '"2026-03-01T12:00:00 Europe/Paris"',
    '"2026-03-01T12:00:00Z "', "[]", "{}", '"\\u0032026-03-01"', '"\uff12\uff10\uff12\uff16-03-01"',
    '"2026-03-01T12:00:00Z\\n"',
)  # fmt: skip
NUMBERS = (
    "1.5", "0", "-0.0", "1", "1e3", "1E+3", "5e-324", "1e308", "1e999", "-1e999", "NaN", "Infinity", "-Infinity",
    '"1.5"', "null", "true", "[1]", "{}", "01", "+1", ".5", "1.", "-", "0x10", "1_000", "9" * 999, "9" * 1_001,
    "1.5f", '"warm"',
)  # fmt: skip
REST = (
    ', "more": [1, {"a": null}]', ', "more": ' + "[" * 900 + "]" * 900, ', "more": ' + "[" * DEEPEST + "]" * DEEPEST,
    ', "more": ' + "[" * DEEPEST, ', "more": {"a":' * 500 + "1" + "}" * 500, ', "more": "' + "y" * (2**20 + 1) + '"',
    ', "more": ' + "1" * (LONGEST_NUMBER + 1), ', "more": "\\x"', ', "more": "a\nb"', ', "more": "\\u12"',
    ', "more": "\\udead"', ",", ",,",
    ', "more"', ', "more":', ", more: 1", ", 'more': 1", ', "more": \'a\'', ', /* more */ "more": 1', ', "more": nan',
)  # fmt: skip
BEHIND = (b" ", b"\n\t\r ", b"x", b"{}", b"}", b",", b"\x00", b"\xff", b"]", b"//", b"null")


class Texts(NamedTuple):
    """Values that Hypothesis draws. `made` makes the texts from them, some of a megabyte."""

    seed: int
    ids: list[str]

    def made(self, count: int) -> list[bytes]:
        """Return `count` texts. All begin with `{`, which distinguishes JSON from Avro."""
        rng = Random(self.seed)
        return [_text(rng, [*TEXTS, *self.ids]) for _ in range(count)]


every_plane = st.text(st.characters(codec="utf-8"), max_size=20)
sensor_texts = st.builds(Texts, st.integers(0, 2**32 - 1), st.lists(every_plane, min_size=5, max_size=15))


def _text(rng: Random, texts: list[str]) -> bytes:
    ids = [json.dumps(rng.choice(texts)), json.dumps(rng.choice(texts), ensure_ascii=False), '"s"', '"s"', '"s"']
    ids.append(
        rng.choice([r'"\ud800"', r'"\udc00"', r'"\\ud800"', r'"\\\ud800"', r'"\ud83d\ude00"', r'"\ud83d\ud83d"'])
    )
    fields = {
        "sensor_id": rng.choice(ids),
        "temperature": rng.choice([rng.choice(NUMBERS), repr(rng.uniform(-50, 150))]),
        "timestamp": rng.choice([rng.choice(TIMES), '"2026-03-01T12:00:00Z"']),
    }
    names = [name for name in fields if rng.random() < 0.98]
    rng.shuffle(names)
    # One message in a thousand has more than a megabyte.
    rest = rng.choice(REST) if rng.random() < 0.1 else ""
    if len(rest) > 50_000 and rng.random() < 0.9:
        rest = ""
    text = ("{" + ", ".join(f'"{name}": {fields[name]}' for name in names) + rest + "}").encode()
    accident = rng.random()
    if accident < 0.1:
        return text + rng.choice(BEHIND)
    if accident < 0.2:
        return text[: rng.randrange(1, len(text) + 1)]
    if accident < 0.25:
        return text.replace(b'"s"', b'"' + rng.choice(NOT_UTF8) + b'"')
    return text


class _Unreadable(Exception):
    """The text is no JSON, or does not fit the contract."""


def judged_text(text: bytes) -> tuple[str, tuple[Any, ...] | None]:
    """Return `valid` with the sensor and the temperature's text, or `undecodable`. The text may be no number."""
    try:
        event = json.loads(_limited(text.decode()), parse_constant=float)
        json.dumps(event, ensure_ascii=False).encode()
        _timed(event["timestamp"])
        return "valid", (_string(event["sensor_id"]), repr(_double(event["temperature"])))
    except (ValueError, KeyError, RecursionError, _Unreadable):
        return "undecodable", None


def _limited(text: str) -> str:
    depth = deepest = 0
    for part in re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL):
        depth += (part in "[{") - (part in "]}")
        deepest = max(deepest, depth)
    # The object around the text is one more level.
    if deepest >= DEEPEST or re.search(rf"\d{{{LONGEST_NUMBER + 1}}}", text):
        raise _Unreadable
    return text


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _Unreadable
    return value


def _double(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unreadable
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _timed(value: object) -> None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise _Unreadable
    if SECONDS.fullmatch(text):
        return
    if not DATED.fullmatch(text):
        raise _Unreadable
    zone = re.search(r"[+-](\d\d):(\d\d)$", text)
    if zone and len(text) > len("2026-03-01") and (int(zone[1]), int(zone[2])) > (18, 0):
        raise _Unreadable
    datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text))
