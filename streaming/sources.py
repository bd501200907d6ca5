"""The sources of messages: a Kafka topic, a folder of JSON files, or a socket.

All return the same columns: `key`, `value` (binary), `topic`, `partition`, `offset` and `timestamp`, the arrival. A
source can also read a batch again, by the checkpoint's record of it: for dead letters, and to count late events.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from common import kafka
from common.errors import BadInput, CheckpointError
from common.settings import READ_UNCOMMITTED, IsolationLevel, KafkaSettings, Settings
from common.text.moments import to_millis
from streaming.recovery.checkpoint import Checkpoint

# With these three options Spark's consumer fetches in large pieces. Measured on two cores, reading and summing four
# million ad events in windows took a third less time than with the client's defaults.
_LARGE_FETCHES = {
    "kafka.max.poll.records": "20000",
    "kafka.max.partition.fetch.bytes": str(8 * 1024 * 1024),
    "kafka.fetch.max.bytes": str(64 * 1024 * 1024),
}
FILES_PER_BATCH = 100


class Source(Protocol):
    """One input of a job. `json_only` has no schema ids, and its dead letters stay in place."""

    @property
    def name(self) -> str: ...

    @property
    def json_only(self) -> bool: ...

    def identity(self) -> dict[str, str]:
        """Return the source's identity, which a checkpoint must match. Raises if the source does not exist."""
        ...

    def stream(self, spark: SparkSession) -> DataFrame: ...

    def batch_again(self, spark: SparkSession, checkpoint: Checkpoint, batch_id: int) -> DataFrame | None:
        """Return the messages of a batch, or None if they cannot be read twice."""
        ...


@dataclass(frozen=True)
class Topic:
    """A Kafka topic; only a new checkpoint uses `start` (earliest, or a broker time).

    Batches have a `bounded` number of messages. In real-time mode they end by the clock instead.
    """

    settings: Settings
    name: str
    start: str | datetime = "earliest"
    bounded: bool = True
    json_only = False

    def identity(self) -> dict[str, str]:
        kafka.require_topic(self.settings, self.name)
        return {"topic": self.name, "topic_id": kafka.topic_id(self.settings, self.name)}

    def pinned(self) -> "Topic":
        """Return the source with `latest` replaced by present offsets: a retried first batch must not move them."""
        if self.start != "latest":
            return self
        ends = kafka.end_offsets(self.settings, self.name)  # an open transaction's messages come when it is committed
        offsets = {self.name: {str(partition): offset for partition, offset in ends.items()}}
        return replace(self, start=json.dumps(offsets))

    def require_kept(self, checkpoint: Checkpoint) -> None:
        """Raise CheckpointError if uncounted messages are gone from the topic: the job must never skip them."""
        begins = kafka.begin_offsets(self.settings, self.name)
        ends = kafka.end_offsets(self.settings, self.name, READ_UNCOMMITTED)
        for partition, offset in sorted(checkpoint.next_offsets(self.name).items()):
            begin, end = begins.get(partition, 0), ends.get(partition, 0)
            if begin <= offset <= end:
                continue
            what = (
                f"begins at {begin:,}: {begin - offset:,} messages were removed before they were counted"
                if offset < begin
                else f"ends at {end:,}: Kafka has lost {offset - end:,} messages that were counted"
            )
            raise CheckpointError(
                f"checkpoint {checkpoint.path} goes on at offset {offset:,} of {self.name}, partition {partition}, "
                f"which {what}",
                "`adstream reset JOB` begins anew with what is left",
            )

    def reading(self, level: IsolationLevel) -> "Topic":
        """Return the same topic, read at another isolation level."""
        return replace(self, settings=self.settings.reading(level))

    def stream(self, spark: SparkSession) -> DataFrame:
        """Return the stream. After an outage the backlog comes in batches of bounded size."""
        options = {
            **_options(self.settings.kafka),
            **_LARGE_FETCHES,
            **starting_at(self.start),
            "subscribe": self.name,
            "groupIdPrefix": f"adstream-{self.name}",
        }
        if self.bounded:
            options["maxOffsetsPerTrigger"] = str(self.settings.spark.max_events_per_batch)
        return spark.readStream.format("kafka").options(**options).load()

    def batch_again(self, spark: SparkSession, checkpoint: Checkpoint, batch_id: int) -> DataFrame:
        """Return the messages of a batch. Reuses one consumer group.

        Spark otherwise creates a group per read, and keeps its consumers for five minutes with all prefetched messages.
        With a dead letter in every batch, these filled the heap.
        """
        ranges = checkpoint.batch_offsets(self.name, batch_id)
        return topic_range(spark, self.settings.kafka, self.name, ranges, group=f"adstream-{self.name}-again")


# Characters with a meaning in a pattern, unless a backslash precedes them.
_PATTERN = re.compile(r"[\\*?\[\]{}]")
_PATTERN_IN_URI = r"[\\*?\[\]{}]|%5[BCD]|%7[BD]|%3F"


@dataclass(frozen=True)
class Folder:
    """JSON lines in the files of a folder, including future ones. Spark reads each file whole, into memory."""

    path: Path
    files_per_batch: int = FILES_PER_BATCH
    json_only = True

    @property
    def name(self) -> str:
        return str(self.path)

    def identity(self) -> dict[str, str]:
        if not self.path.is_dir():
            raise BadInput(f"there is no folder {self.path}", "make it, or correct the path given to --files")
        if _PATTERN.search(str(self.path.absolute())):
            # With an escaped pattern Spark's stream would read each file as often as there are files.
            problem = f"Spark takes the folder {self.path.absolute()} for a pattern: its path has one of \\*?[]{{}}"
            raise BadInput(problem, "rename or move it")
        return {"folder": str(self.path.absolute())}

    def stream(self, spark: SparkSession) -> DataFrame:
        reader = spark.readStream.format("text").option("maxFilesPerTrigger", self.files_per_batch)
        return _lines(reader.option("wholetext", True).load(str(self.path)))

    def batch_again(self, spark: SparkSession, checkpoint: Checkpoint, batch_id: int) -> DataFrame:
        # The checkpoint has the paths as URIs, which encode some letters as numbers.
        files = [_as_pattern(unquote(file)) for file in checkpoint.batch_files(batch_id)]
        return _lines(spark.read.text(files, wholetext=True))


@dataclass(frozen=True)
class Socket:
    """JSON lines from a TCP server, for experiments: when the job fails, lines that it has read are lost."""

    host: str
    port: int
    json_only = True

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def identity(self) -> dict[str, str]:
        return {"socket": self.name}

    def stream(self, spark: SparkSession) -> DataFrame:
        lines = spark.readStream.format("socket").option("host", self.host).option("port", self.port).load()
        # A socket has no offsets: the same line twice in one run is the same place.
        return _messages(lines, F.col("value"), F.lit(self.name), F.xxhash64("value"), F.current_timestamp())

    def batch_again(self, _spark: SparkSession, _checkpoint: Checkpoint, _batch_id: int) -> None:
        return None


def starting_at(start: str | datetime) -> dict[str, str]:
    """Return Kafka source options for `earliest`, offsets as JSON, or the first message at a broker time (UTC)."""
    if isinstance(start, datetime):
        # A partition without a message this young starts at its end.
        return {
            "startingTimestamp": str(to_millis(start)),
            "startingOffsetsByTimestampStrategy": "latest",
        }
    return {"startingOffsets": start}


def topic_range(
    spark: SparkSession,
    settings: KafkaSettings,
    topic: str,
    ranges: Mapping[int, tuple[int, int]],
    *,
    group: str | None = None,
) -> DataFrame:
    """Return the messages of partition -> [first offset, end offset), with their `headers`.

    Not every offset is a message: marks of transactions have offsets, and aborted or compacted messages had some. A
    read beyond the start of an open transaction would wait for it: take the ends from `kafka.end_offsets`.

    Reads of one `group` share their consumers, and fetch in small pieces.
    """
    first = {topic: {str(partition): start for partition, (start, _) in ranges.items()}}
    end = {topic: {str(partition): stop for partition, (_, stop) in ranges.items()}}
    options: dict[str, Any] = {
        **_options(settings),
        **(_LARGE_FETCHES if group is None else {"kafka.group.id": group}),
        "assign": json.dumps({topic: sorted(ranges)}),
        "startingOffsets": json.dumps(first),
        "endingOffsets": json.dumps(end),
        "includeHeaders": "true",
    }
    return spark.read.format("kafka").options(**options).load()


def _options(settings: KafkaSettings) -> dict[str, str]:
    limit = str(int(settings.timeout_seconds * 1_000))
    return {
        **kafka.spark_options(settings),
        # Spark asks for the ends of partitions at this level, too. So a batch ends before the first open transaction.
        "kafka.isolation.level": settings.isolation_level,
        "kafka.request.timeout.ms": limit,
        "kafka.default.api.timeout.ms": limit,
        # Offsets that are gone stop the job: otherwise it would skip events silently.
        "failOnDataLoss": "true",
    }


def _as_pattern(path: str) -> str:
    """Return a pattern that only this path matches, because Hadoop reads every path as a pattern."""
    return _PATTERN.sub(r"\\\g<0>", path)


def _lines(files: DataFrame) -> DataFrame:
    """Read whole files as messages, one for each line that is not blank. The line's number, from 1, is its offset."""
    text = F.regexp_replace("value", r"^\x{FEFF}", "")  # a byte order mark is no part of the first line
    numbered = files.select("_metadata", F.posexplode(F.split(text, r"\r?\n")).alias("line", "text"))
    place, written = F.col("_metadata.file_path"), F.col("_metadata.file_modification_time")
    # With one such name, Spark's stream reads each file of the batch as often as there are files in it.
    problem = F.concat(place, F.lit(": Spark takes this name for a pattern; rename it without any of \\*?[]{}"))
    line = F.when(place.rlike(_PATTERN_IN_URI), F.raise_error(problem)).otherwise(F.col("text"))
    return _messages(numbered, line, place, F.col("line") + 1, written)


def _messages(rows: DataFrame, text: Column, place: Column, offset: Column, arrival: Column) -> DataFrame:
    return rows.select(
        F.lit(None).cast("binary").alias("key"),
        F.encode(text, "UTF-8").alias("value"),
        place.alias("topic"),
        F.lit(0).alias("partition"),
        offset.cast("bigint").alias("offset"),
        arrival.alias("timestamp"),
    ).where(F.length("value") > 0)
