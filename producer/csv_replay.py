"""Ad events out of a CSV: `ad_id,timestamp,clicks,views,cost`, timestamps in ISO 8601 (UTC unless they say otherwise).

A header is required; the order of the columns is free. The file is read twice: first whole, to check it and to find
its newest timestamp, then to send it. So a bad row stops the run before anything is sent.
"""

import csv
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adstream.errors import BadInput
from adstream.moments import iso_utc
from producer.records import Record
from producer.timeline import to_millis

COLUMNS = ("ad_id", "timestamp", "clicks", "views", "cost")
LARGEST_INT = 2**31 - 1


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be sent: its line in the file (the header is line 1) and what is wrong with it."""

    line: int
    reason: str


class CsvReplay:
    """The rows of `path` as records.

    Timestamps move so that the newest is `now_ms`; with None they stay as they are. The event id comes from the row's
    content and place alone, so a second run of the same file repeats the same events. Raises BadInput for a file that
    cannot be read, and for the first bad row unless `skip` takes it.
    """

    def __init__(self, path: Path, now_ms: int | None, skip: Callable[[BadRow], None] | None = None) -> None:
        self._path = path
        self._skip = skip
        self.rows = 0
        newest: int | None = None
        for row in self._rows(skip):
            self.rows += 1
            newest = row["timestamp"] if newest is None else max(newest, row["timestamp"])
        self._shift = now_ms - newest if now_ms is not None and newest is not None else 0

    def __iter__(self) -> Iterator[Record]:
        for row in self._rows(lambda _row: None):
            yield Record(row["ad_id"], row | {"timestamp": row["timestamp"] + self._shift})

    def _rows(self, skip: Callable[[BadRow], None] | None) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield from self._parsed(csv.reader(file, strict=True), skip)
        except OSError as error:
            raise BadInput(f"{self._path} cannot be read: {error.strerror}", "check the path given to --csv") from None
        except UnicodeDecodeError:
            raise BadInput(f"{self._path} is not UTF-8 text", "save it as UTF-8") from None

    def _parsed(self, reader: Any, skip: Callable[[BadRow], None] | None) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise BadInput(f"{self._path} line 1 is not the header {','.join(COLUMNS)}", "add or correct it")
        while True:
            try:
                cells = next(reader)
                if not cells:
                    continue  # a blank line, as editors leave at the end
                yield _event(header, cells, reader.line_num)
            except StopIteration:
                return
            except UnicodeDecodeError:
                raise
            except (ValueError, csv.Error) as error:
                bad = BadRow(reader.line_num, str(error))
                if skip is None:
                    raise BadInput(
                        f"{self._path} line {bad.line}: {bad.reason}", "correct it, or give --on-bad-row skip"
                    ) from None
                skip(bad)


def _event(header: list[str], cells: list[str], line: int) -> dict[str, Any]:
    """Raises ValueError that says what is wrong with the row."""
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} columns instead of {len(header)}")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    if not row["ad_id"]:
        raise ValueError("ad_id is empty")
    place = "\x1f".join([str(line), *(row[name] for name in COLUMNS)])
    return {
        "ad_id": row["ad_id"],
        "timestamp": _millis(row["timestamp"]),
        "clicks": _whole("clicks", row["clicks"]),
        "views": _whole("views", row["views"]),
        "cost": _cost(row["cost"]),
        "event_id": hashlib.blake2b(place.encode(), digest_size=12).hexdigest(),
    }


def _millis(text: str) -> int:
    try:
        return to_millis(iso_utc(text))
    except ValueError:
        raise ValueError(f"timestamp {text!r} is not ISO 8601, like 2025-01-31T10:00:00Z") from None


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > LARGEST_INT:
        raise ValueError(f"{name} {text!r} is not a whole number from 0 to {LARGEST_INT}")
    return int(text)


def _cost(text: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost) or cost < 0:
        raise ValueError(f"cost {text!r} is not a number from 0 up")
    return cost
