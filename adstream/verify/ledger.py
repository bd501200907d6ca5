"""The ledger: every offset of the topic is counted, a duplicate, late, dead or not a message; exactly one of them.

*Not a message* are marks at the end of transactions, messages of aborted transactions, and compacted messages. The
broker skips these offsets, and delivers later ones.

The ledger cannot explain an offset behind the end of the topic, or a dead message without its letter in the dead-letter
topic. Nor can it explain a letter for a message that was counted or late, or for an offset that is not a message. It
does not miss a letter that the dead-letter topic may have lost to its retention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from adstream.dead_letters.letters import everything, letter_of
from adstream.verify.oracle import FATES, NOT_A_MESSAGE, Oracle
from common import kafka
from common.errors import TopicNotFound
from common.settings import Settings

JOB = "ad-metrics"
_CHUNK = 50_000
_SHOWN = 10
_FOREVER = 2**62
_LETTERS = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("arrival", pa.int64()),
        ("reason", pa.string()),
        ("current", pa.bool_()),
        ("published", pa.int64()),
    ]
)
_WITHOUT_LETTER = "fate = 'dead' AND NOT has_letter AND arrival >= $letters_from"
_CONTRADICTED = "fate <> 'dead' AND letter IS NOT NULL"
_PUZZLES = f"""
    SELECT partition, "offset", fate, letter, count(*) OVER (PARTITION BY partition, fate) AS messages FROM (
        SELECT partition, "offset", fate, letter
        FROM fates WHERE boundary = 0 AND (({_WITHOUT_LETTER}) OR ({_CONTRADICTED}))
        UNION ALL
        SELECT partition, "offset", '{NOT_A_MESSAGE}', letter.reason
        FROM letter JOIN gaps USING (partition)
        WHERE boundary = 0 AND letter.current AND "offset" BETWEEN gaps."first" AND gaps."last"
    )
    QUALIFY row_number() OVER (PARTITION BY partition, fate ORDER BY "offset") <= {_SHOWN}
    ORDER BY partition, "offset"
"""  # noqa: S608 - text of ours
_GAPS = """
    WITH places AS (
        SELECT partition, "offset" AS "first", "offset" AS "last" FROM fates WHERE boundary = 0
        UNION ALL SELECT partition, "first", "last" FROM gaps WHERE boundary = 0
        UNION ALL SELECT partition, "begin" - 1, "begin" - 1 FROM read_ranges
        UNION ALL SELECT partition, "end", "end" FROM read_ranges
    ), steps AS (
        SELECT partition, "first", lag("last") OVER (PARTITION BY partition ORDER BY "first") AS before FROM places
    )
    SELECT partition, before + 1, "first" - 1 FROM steps WHERE "first" > before + 1 ORDER BY ALL LIMIT $shown
"""


@dataclass(frozen=True)
class Line:
    """One partition: the offsets from `begin` to `end` (not included), and their number by fate.

    `fates` count messages; `not_messages` is the number of offsets without one.
    """

    partition: int
    begin: int
    end: int
    fates: Mapping[str, int]
    unexplained: int
    not_messages: int = 0

    @property
    def all_fates(self) -> dict[str, int]:
        """The number of offsets by fate, with the offsets that are not a message."""
        return {**self.fates, NOT_A_MESSAGE: self.not_messages}


@dataclass
class Ledger:
    """A line per partition, the first unexplained places as lines to read, and the number of aged-out letters."""

    lines: list[Line] = field(default_factory=list)
    puzzles: list[str] = field(default_factory=list)
    letters_aged_out: int = 0

    @property
    def fates(self) -> dict[str, int]:
        return {fate: sum(line.fates[fate] for line in self.lines) for fate in FATES}

    @property
    def all_fates(self) -> dict[str, int]:
        """The number of offsets by fate, with the offsets that are not a message.

        With the unexplained ones they add up to `offsets`.
        """
        return {**self.fates, NOT_A_MESSAGE: self.not_messages}

    @property
    def not_messages(self) -> int:
        return sum(line.not_messages for line in self.lines)

    @property
    def offsets(self) -> int:
        return sum(line.end - line.begin for line in self.lines)

    @property
    def unexplained(self) -> int:
        return sum(line.unexplained for line in self.lines)


def read_letters(settings: Settings, oracle: Oracle, made: datetime) -> int:
    """Read the job's letters for the topic into the oracle's `letters`.

    Returns the broker time (ms) since which no letter can have aged out: all later letters are there. Letters from
    before the checkpoint was `made` belong to an earlier run: they are letters, but say nothing about this job.
    """
    since = round(made.timestamp() * 1_000)
    first: dict[int, int] = {}
    chunk: list[tuple[Any, ...]] = []
    try:
        for message in everything(settings, settings.topic.dead_letters):
            published = message.timestamp()[1]
            first.setdefault(message.partition() or 0, published)
            letter = letter_of(message)
            if letter is None or letter.job != JOB or letter.place.topic != settings.topic.ads:
                continue
            arrival = round(letter.timestamp.timestamp() * 1_000)
            place = letter.place.partition, letter.place.offset
            chunk.append((*place, arrival, letter.reason, published >= since, published))
            if len(chunk) == _CHUNK:
                _append(oracle, chunk)
                chunk = []
        begins = kafka.begin_offsets(settings, settings.topic.dead_letters)
    except TopicNotFound:
        return 0
    _append(oracle, chunk)
    return max((first.get(partition, _FOREVER) for partition, begin in begins.items() if begin > 0), default=0)


def settle(
    oracle: Oracle, *, topic: str, begins: Mapping[int, int], read: Mapping[int, int], ends: Mapping[int, int],
    letters_from: int,
) -> Ledger:  # fmt: skip
    """Return the ledger from `begins` to `ends`.

    Messages from `read` on were read now; a baseline has the earlier ones.
    """
    rows = [(partition, read[partition], end) for partition, end in ends.items()]
    oracle.db.execute('CREATE OR REPLACE TABLE read_ranges (partition INTEGER, "begin" BIGINT, "end" BIGINT)')
    oracle.db.executemany("INSERT INTO read_ranges VALUES (?, ?, ?)", rows)
    counts = {(partition, fate): count for partition, fate, count in oracle.rows("FROM fate_counts")}
    puzzles = oracle.rows(_PUZZLES, {"letters_from": letters_from})
    puzzling = {(partition, fate): count for partition, _, fate, _, count in puzzles}
    result = Ledger(letters_aged_out=_aged_out(oracle, letters_from))
    for partition, end in sorted(ends.items()):
        begin = begins[partition]
        found = {
            fate: counts.get((partition, fate), 0) - puzzling.get((partition, fate), 0)
            for fate in (*FATES, NOT_A_MESSAGE)
        }
        unexplained = end - begin - sum(found.values())
        nothing = found.pop(NOT_A_MESSAGE)
        result.lines.append(Line(partition, begin, end, found, unexplained, nothing))
    if result.unexplained:
        result.puzzles = [*_gap_lines(oracle, topic), *_puzzle_lines(topic, puzzles)][:_SHOWN]
    return result


def _aged_out(oracle: Oracle, letters_from: int) -> int:
    query = (
        "SELECT count(*) FROM fates WHERE boundary = 0 AND fate = 'dead' AND NOT has_letter AND arrival < $letters_from"
    )
    return int(oracle.rows(query, {"letters_from": letters_from})[0][0])


def _gap_lines(oracle: Oracle, topic: str) -> list[str]:
    gaps = oracle.rows(_GAPS, {"shown": _SHOWN})
    return [
        f"{topic}/{partition}/{first}{f' to {last}' if last > first else ''}: not in the topic"
        for partition, first, last in gaps
    ]


def _puzzle_lines(topic: str, puzzles: list[tuple[Any, ...]]) -> list[str]:
    return [
        f"{topic}/{partition}/{offset}: "
        + (f"{_said(fate)}, but the job wrote a dead letter: {letter}" if letter else "dead, but without a dead letter")
        for partition, offset, fate, letter, _ in puzzles
    ]


def _said(fate: str) -> str:
    return fate.replace("_", " ")


def _append(oracle: Oracle, chunk: list[tuple[Any, ...]]) -> None:
    if chunk:
        columns = [pa.array(column, kind.type) for column, kind in zip(zip(*chunk, strict=True), _LETTERS, strict=True)]
        oracle.append("letters", pa.Table.from_arrays(columns, schema=_LETTERS))


def day(moment: datetime) -> str:
    """Write a time as the report prints it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
