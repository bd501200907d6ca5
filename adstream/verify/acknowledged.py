"""Look up a producer's acknowledged records (`adstream produce ads --acknowledged FILE`) in the topic.

The file has a line per record, as producer.acknowledged writes it: topic, partition, offset and the CRC-32 of the
value, separated by blanks. A last line without its end comes from a killed producer, and is ignored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from adstream.verify.oracle import Oracle
from common.errors import BadInput

_SHOWN = 10
_LONGEST_LINE = 1_024
_COLUMNS = {"topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "checksum": pa.string()}
_MISSING = """
    SELECT partition, "offset", raw.checksum IS NOT NULL FROM acknowledged a LEFT JOIN raw USING (partition, "offset")
    JOIN kept USING (partition)
    WHERE "offset" >= kept."begin" AND raw.checksum IS DISTINCT FROM ('0x' || a.checksum)::BIGINT
    ORDER BY partition, "offset"
"""


@dataclass
class Acknowledged:
    """Acknowledged places: all, the places that aged out, and the places missing from the topic.

    `lines` describe the first missing ones.
    """

    places: int = 0
    aged_out: int = 0
    missing: int = 0
    lines: list[str] = field(default_factory=list)


def load(oracle: Oracle, files: Iterable[Path], topic: str) -> dict[int, tuple[int, int]]:
    """Load the files into the oracle. Returns the first and the last offset of each partition.

    Raises BadInput for a file that cannot be read, or a file about another topic.
    """
    oracle.db.execute('CREATE TABLE acknowledged (partition INTEGER, "offset" BIGINT, checksum VARCHAR)')
    for file in files:
        if file.exists() and not file.is_file():
            raise BadInput(
                f"{file} is not a regular file, and is read more than once", "write it into a file, and give that"
            )
        try:
            _load(oracle, file, topic)
        except (OSError, pa.ArrowInvalid) as error:
            raise BadInput(
                f"{file} cannot be read: {error}", "give what `--acknowledged` of a producer wrote"
            ) from None
    query = 'SELECT partition, min("offset"), max("offset") FROM acknowledged GROUP BY partition'
    return {partition: (first, last) for partition, first, last in oracle.rows(query)}


def check(oracle: Oracle, topic: str, begins: Mapping[int, int]) -> Acknowledged:
    """Look up every place. `begins` are the first offsets of the topic when it was read."""
    oracle.db.execute('CREATE OR REPLACE TABLE kept (partition INTEGER, "begin" BIGINT)')
    places = oracle.rows("SELECT DISTINCT partition FROM acknowledged")
    # A partition outside the topic has lost all its places.
    oracle.db.executemany(
        "INSERT INTO kept VALUES (?, ?)", [(partition, begins.get(partition, 0)) for (partition,) in places] or [(0, 0)]
    )
    [(count, aged_out)] = oracle.rows(
        'SELECT count(*), count(*) FILTER ("offset" < kept."begin") FROM acknowledged JOIN kept USING (partition)'
    )
    oracle.db.execute(f"CREATE OR REPLACE TABLE lost AS {_MISSING}")
    [(missing,)] = oracle.rows("SELECT count(*) FROM lost")
    lines = [
        f"{topic}/{partition}/{offset}: acknowledged, but {'other bytes lie there' if there else 'not in the topic'}"
        for partition, offset, there in oracle.rows(f"FROM lost LIMIT {_SHOWN}")
    ]
    return Acknowledged(count, aged_out, missing, lines)


def _load(oracle: Oracle, file: Path, topic: str) -> None:
    with pa.memory_map(str(file)) as source:
        lines = source.read_buffer(_whole_lines(file))
        if lines.size == 0:
            return
        reader = csv.open_csv(
            pa.BufferReader(lines),
            read_options=csv.ReadOptions(column_names=list(_COLUMNS)),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=_COLUMNS),
        )
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            others = set(rows["topic"].unique().to_pylist()) - {topic}
            if others:
                named = ", ".join(map(str, others))
                raise BadInput(f"{file} is about {named}, not {topic}", "give the topic's own file")
            oracle.append("acknowledged", rows.drop_columns("topic"))


def _whole_lines(file: Path) -> int:
    """Return the size of the file up to the end of its last complete line."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(max(0, size - _LONGEST_LINE))
        tail = opened.read()
    return size - len(tail) + tail.rfind(b"\n") + 1
