"""Ad events out of a CSV: `ad_id,timestamp,clicks,views,cost`. docs/files.md has the form of each.

A row that is not in this form is refused, never sent as another value. The file is read twice: first whole, to check it
and to find its newest timestamp, then to send it. So a bad row stops the run before anything is sent.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute

from common.errors import BadInput
from common.event_rules import LARGEST_NUMBER, LONGEST_STRING_BYTES
from common.text.csv_rows import BadRow, Form, Row, rows
from common.text.moments import iso_utc, to_millis
from common.text.numbers import decimal_number, whole_number
from common.text.text_input import TextInput
from producer.records import Record

COLUMNS = ("ad_id", "timestamp", "clicks", "views", "cost")
LARGEST_INT = 2**31 - 1
_SHOWN = 60
_64_BITS = 2**64 - 1
_LAST_MILLIS = to_millis(datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))


class CsvReplay:
    """The rows of `path` as records. Timestamps move so that the newest is `now_ms`; with None they stay unchanged.

    The event id comes from the row's values, and from the number of equal rows before it. So the same row has the same
    id in every file. Raises BadInput for a file that cannot be read, and for the first bad row unless `skip` takes it.
    """

    def __init__(
        self,
        path: Path,
        now_ms: int | None,
        skip: Callable[[BadRow], None] | None = None,
        form: Form = Form(),  # noqa: B008 - frozen
        notice: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._text = TextInput(path, "--csv", notice)
        self._skip = skip
        self._form = form
        self.rows = 0
        oldest, newest = _LAST_MILLIS, 0
        # Eight bytes a row: the ids of a hundred million rows would not fit into memory.
        digests = array("Q")
        for row in self._events(skip):
            self.rows += 1
            oldest, newest = min(oldest, row["timestamp"]), max(newest, row["timestamp"])
            digests.append(_digest(row))
        self._repeated = _repeated(digests)
        self._shift = now_ms - newest if now_ms is not None and self.rows else 0
        if self.rows and oldest + self._shift < 0:
            raise BadInput(
                f"{path}: with its newest row moved to now, its oldest one is before 1970",
                "give --keep-timestamps, or correct the times",
            )

    def __iter__(self) -> Iterator[Record]:
        self._text.require_unchanged()
        seen: Counter[int] = Counter()
        for row in self._events(None if self._skip is None else lambda _row: None):
            nth = 1
            if self._repeated and (digest := _digest(row)) in self._repeated:
                seen[digest] += 1
                nth = seen[digest]
            row["event_id"] = _event_id(row, nth)
            row["timestamp"] += self._shift
            yield Record(row["ad_id"], row)
        self._text.require_unchanged()

    def _events(self, skip: Callable[[BadRow], None] | None) -> Iterator[dict[str, Any]]:
        with rows(self._text, COLUMNS, self._form) as read:
            for row in read:
                found = _checked(row)
                if not isinstance(found, BadRow):
                    yield found
                elif skip is None:
                    problem = f"{self._text.path} line {found.line}: {found.reason}"
                    raise BadInput(problem, "correct it, or give --on-bad-row skip")
                else:
                    skip(found)


def _checked(row: Row | BadRow) -> dict[str, Any] | BadRow:
    try:
        return row if isinstance(row, BadRow) else _event(row.cells)
    except ValueError as error:
        return BadRow(row.line, str(error))


def _event(cells: dict[str, str]) -> dict[str, Any]:
    """Parse a row. Raises ValueError with the reason."""
    return {
        "ad_id": _ad_id(cells["ad_id"]),
        "timestamp": _millis(cells["timestamp"]),
        "clicks": _whole("clicks", cells["clicks"]),
        "views": _whole("views", cells["views"]),
        "cost": _cost(cells["cost"]),
    }


def _ad_id(text: str) -> str:
    if not text:
        raise ValueError("ad_id is empty")
    if "\0" in text:
        raise ValueError("ad_id has a NUL character")
    if len(text.encode()) > LONGEST_STRING_BYTES:
        raise ValueError(f"ad_id is longer than {LONGEST_STRING_BYTES} bytes")
    return text


def _millis(text: str) -> int:
    try:
        millis = to_millis(iso_utc(text))
    except ValueError:
        problem = f"timestamp {text[:_SHOWN]!r} is not ISO 8601, like 2025-01-31T10:00:00Z"
        number = text.isascii() and text.isdigit()
        raise ValueError(f"{problem}; a number does not say its unit" if number else problem) from None
    if not 0 <= millis <= _LAST_MILLIS:
        raise ValueError(f"timestamp {text!r} is not within the years 1970 to 9999")
    return millis


def _whole(name: str, text: str) -> int:
    try:
        number = whole_number(text)
    except ValueError:
        number = -1
    if not 0 <= number <= LARGEST_INT or text.startswith("-"):
        raise ValueError(f"{name} {text[:_SHOWN]!r} is not a whole number from 0 to {LARGEST_INT}")
    return number


def _cost(text: str) -> float:
    try:
        cost = decimal_number(text)
    except ValueError as error:
        if "digits" in str(error):
            raise ValueError(f"cost {error}") from None
        cost = -1.0
    if not 0 <= cost <= LARGEST_NUMBER or text.startswith("-"):
        comma = "; write a point, not a comma" if "," in text else ""
        raise ValueError(f"cost {text[:_SHOWN]!r} is not a number from 0 to {LARGEST_NUMBER:,.0f}{comma}")
    return cost


def _event_id(row: dict[str, Any], nth: int) -> str:
    # The text comes last: only the text may hold the character that separates values.
    values = f"{row['timestamp']}\x1f{row['clicks']}\x1f{row['views']}\x1f{row['cost']!r}\x1f{nth}\x1f{row['ad_id']}"
    return hashlib.blake2b(values.encode(), digest_size=12).hexdigest()


def _digest(row: dict[str, Any]) -> int:
    """Return 64 bits that equal rows share, within this process."""
    return hash(tuple(row.values())) & _64_BITS


def _repeated(digests: "array[int]") -> set[int]:
    """Return the digests that come more than once."""
    buffers = [None, pa.py_buffer(digests)]
    counts = compute.value_counts(pa.Array.from_buffers(pa.uint64(), len(digests), buffers))
    return set(counts.filter(compute.greater(counts.field("counts"), 1)).field("values").to_pylist())
