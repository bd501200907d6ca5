"""Judge the raw topic, message by message, into Parquet files; with several processes for a large topic.

A file holds a piece of one partition, so the row group limits the memory, not the topic. `boundary` groups the
messages: see adstream.verify.tables.

Not every offset holds a message. Some belong to marks of transactions, and some messages were aborted, compacted or
deleted. The broker skips these offsets. Each run of them becomes a gap, once a later message or the end of the
partition was seen. An offset without a message and outside every gap was not read.
"""

import gc
import json
import os
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from adstream.verify.judge import Judge
from common import kafka
from common.avro.schema_types import from_text
from common.errors import ServiceUnavailable
from common.registry import AVRO
from common.registry.writers import Writers
from common.settings import Settings

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("outcome", pa.string()),
        ("ad_id", pa.string()),
        ("timestamp", pa.int64()),
        ("clicks", pa.int64()),
        ("views", pa.int64()),
        ("cost_micros", pa.int64()),
        ("event_id", pa.string()),
        ("boundary", pa.int16()),
        ("arrival", pa.int64()),
        ("checksum", pa.int64()),
    ]
)
# Gaps: offsets `first` to `last` hold no message. They have their own folder.
GAPS = pa.schema([("partition", pa.int32()), ("first", pa.int64()), ("last", pa.int64()), ("boundary", pa.int16())])
GAPS_FOLDER = "gaps"
_FETCH = 10_000
_ROW_GROUP = 50_000
_PREFETCH_KIBIBYTES = 8 * 1024
# Fewer messages are not worth a second process, which needs a second to start.
_ALONE = 150_000
_SMALLEST_PIECE = 100_000
_MOST_PROCESSES = 8
_POLL_SECONDS = 0.5
_STATISTICS_MILLIS = 1_000


@dataclass(frozen=True)
class Piece:
    """The offsets from `begin` to `end` (not included) of a partition.

    They belong to `boundary`. With `steps` they belong to the boundaries that follow it; each step is the end of one
    boundary.
    """

    partition: int
    begin: int
    end: int
    boundary: int
    steps: tuple[int, ...] = ()

    def boundary_of(self, offset: int) -> int:
        return self.boundary + 1 + bisect_right(self.steps, offset) if self.steps else self.boundary


@dataclass(frozen=True)
class Reading:
    """The way to read a topic. `schemas` are the subject's, by id. `checksums` are computed only on request."""

    settings: Settings
    topic: str
    folder: Path
    schemas: Mapping[int, Any]
    lateness: timedelta
    checksums: bool


def read(reading: Reading, pieces: Sequence[Piece], progress: Callable[[int], None]) -> None:
    """Judge the pieces into files of `reading.folder`; `progress` gets the number of finished messages.

    Raises ServiceUnavailable, AccessDenied.
    """
    pieces = [piece for piece in pieces if piece.end > piece.begin]
    count = sum(piece.end - piece.begin for piece in pieces)
    processes = min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)
    if count < _ALONE or processes == 1:
        done = 0
        with closing(_Reader(reading)) as reader:
            for piece in pieces:
                for number in reader.judge(piece):
                    done += number
                    progress(done)
        return
    size = max(_SMALLEST_PIECE, count // (processes * 4) + 1)
    _in_processes(reading, [part for piece in pieces for part in _split(piece, size)], processes, progress)


def crc(value: bytes | None) -> int:
    """Return the checksum of a message's value. A missing value and an empty one have the same."""
    return zlib.crc32(value or b"")


def _split(piece: Piece, size: int) -> Iterator[Piece]:
    for begin in range(piece.begin, piece.end, size):
        yield Piece(piece.partition, begin, min(begin + size, piece.end), piece.boundary, piece.steps)


def _in_processes(reading: Reading, pieces: Sequence[Piece], processes: int, progress: Callable[[int], None]) -> None:
    # A new process, not a fork: a fork would have librdkafka's and Cassandra's locks without their threads.
    context = get_context("spawn")
    done = context.Value("q", 0)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_open, initargs=(reading, done))
    try:
        waiting = {pool.submit(_judge, piece) for piece in pieces}
        while waiting:
            finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_EXCEPTION)
            for each in finished:
                each.result()
            progress(done.value)
    finally:
        pool.shutdown(cancel_futures=True)


# The state of a process of the pool.
_worker: dict[str, Any] = {}


def _open(reading: Reading, done: Any) -> None:  # noqa: ANN401 - a Synchronized
    gc.disable()  # a collection takes a tenth of the time and finds nothing: there are no cycles here
    _worker.update(reader=_Reader(reading), done=done)


def _judge(piece: Piece) -> None:
    for number in _worker["reader"].judge(piece):
        with _worker["done"].get_lock():
            _worker["done"].value += number


class _Reader:
    """One consumer, which commits nothing, and one judge."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._fetched_to: dict[str, int] = {}
        self._writers = Writers.of(reading.settings.registry, reading.topic)
        self._judge = Judge(reading.schemas, reading.lateness, self._schema)
        self._consumer = Consumer(
            {
                **kafka.consumer_config(reading.settings.kafka),
                "group.id": "adstream-verify",
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": _PREFETCH_KIBIBYTES,
                "statistics.interval.ms": _STATISTICS_MILLIS,
                "stats_cb": self._note_progress,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def _schema(self, schema_id: int) -> Any:  # noqa: ANN401 - a schema's JSON
        """Return the schema of an id outside the subject's versions; None if its messages do not count."""
        found = self._writers.find(schema_id)
        return from_text(found.text) if found is not None and found.kind == AVRO else None

    def judge(self, piece: Piece) -> Iterator[int]:
        """Write the piece's files. Yields the number of offsets passed since the last yield."""
        name = f"{piece.boundary}-{piece.partition}-{piece.begin}.parquet"
        folder, end = self._reading.folder, piece.end
        checksums, judge = self._reading.checksums, self._judge.judge
        told = passed = piece.begin
        with (
            pq.ParquetWriter(folder / name, SCHEMA) as file,
            pq.ParquetWriter(folder / GAPS_FOLDER / name, GAPS) as gaps_file,
        ):
            rows: list[tuple[Any, ...]] = []
            gaps: list[tuple[int, int, int, int]] = []
            for fetched in self._batches(piece):
                for message in fetched:
                    offset = min(message.offset() or 0, end)
                    if offset > passed:
                        gaps.append((piece.partition, passed, offset - 1, piece.boundary_of(passed)))
                        passed = offset
                    # The broker reports the end of a partition with the offset of its next message.
                    if offset == end or message.error() is not None:
                        continue
                    passed = offset + 1
                    arrival, value = message.timestamp()[1], message.value()
                    judged = judge(piece.partition, offset, arrival, value)
                    checksum = crc(value) if checksums else 0
                    rows.append((*judged, piece.boundary_of(offset), arrival, checksum))
                if len(rows) >= _ROW_GROUP:
                    file.write_table(table(rows))
                    rows = []
                if len(gaps) >= _ROW_GROUP:
                    gaps_file.write_table(table(gaps, GAPS))
                    gaps = []
                if passed > told:
                    yield passed - told
                    told = passed
            file.write_table(table(rows))
            gaps_file.write_table(table(gaps, GAPS))
        yield end - told

    def _batches(self, piece: Piece) -> Iterator[list[Message]]:
        timeout = self._reading.settings.kafka.timeout_seconds
        self._consumer.assign([TopicPartition(self._reading.topic, piece.partition, piece.begin)])
        heard, left, ended = time.monotonic(), piece.end - piece.begin, False
        fetched_to: dict[str, int] = {}
        while not ended:
            # The call waits for this many messages, or for the whole timeout.
            fetched = self._consumer.consume(max(1, min(_FETCH, left)), timeout=_POLL_SECONDS)
            # The client fetches aborted messages and never delivers them. So a long run of them is no silence.
            if fetched or self._fetched_to != fetched_to:
                heard, fetched_to = time.monotonic(), dict(self._fetched_to)
            elif time.monotonic() - heard > timeout:
                raise ServiceUnavailable(
                    f"Kafka sent nothing of {self._reading.topic} for {timeout:g} s", "check it, and try again"
                )
            left -= len(fetched)
            ended = any(self._ends(message, piece) for message in fetched)
            yield fetched

    def _note_progress(self, statistics: str) -> None:
        topic = json.loads(statistics).get("topics", {}).get(self._reading.topic, {})
        self._fetched_to = {name: at["next_offset"] for name, at in topic.get("partitions", {}).items()}

    def _ends(self, message: Message, piece: Piece) -> bool:
        error = message.error()
        if error is None:
            return (message.offset() or 0) + 1 >= piece.end
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise ServiceUnavailable(
                f"{self._reading.topic} lost messages to its retention while they were read", "verify again"
            )
        raise kafka.translate(error, self._reading.settings.kafka)


def table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema = SCHEMA) -> pa.Table:
    """Return a table of rows, whose columns are in the order of the schema."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
