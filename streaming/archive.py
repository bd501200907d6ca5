"""A topic's raw messages as Parquet files: `FOLDER/day=2026-01-31/...`, with Kafka's own columns.

They outlive the topic's retention, so that what has aged out of Kafka can still be computed again. The folder goes on
where it ended: from the largest offset of each partition. That is safe against a crash in between, because each
partition's messages of a day are one file, and days are written in order: whatever stands there has no hole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from adstream import kafka
from adstream.errors import BadInput, CheckpointError
from adstream.settings import Settings
from streaming.checkpoint import Checkpoint
from streaming.kept import Kept, Ranges
from streaming.sources import topic_range

COLUMNS = (
    "key binary, value binary, headers array<struct<key: string, value: binary>>,"
    " topic string, partition int, offset bigint, timestamp timestamp"
)
_NAMES = ("key", "value", "headers", "topic", "partition", "offset", "timestamp")
_DAY = timedelta(days=1)
# Spark's default for times, INT96, is not compared when files are chosen.
_TIMES = ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")


@dataclass(frozen=True)
class Archived:
    """Messages that were there before, and that this run has added."""

    before: int
    written: int


@dataclass(frozen=True)
class Archive:
    """The messages of one topic in `folder`: a path or URI that Spark and its workers reach."""

    spark: SparkSession
    folder: str

    @property
    def name(self) -> str:
        return f"archive {self.folder}"

    def rows(self) -> DataFrame:
        # The note beside the days is no Parquet.
        reader = self.spark.read.schema(COLUMNS).option("pathGlobFilter", "*.parquet")
        return reader.parquet(self.folder).select(*_NAMES)

    def require(self, topic: str, topic_id: str) -> None:
        """Raises BadInput where there is no archive, or one of another topic."""
        try:
            made_with = self._note.made_with()
        except CheckpointError:
            raise BadInput(f"there is no archive in {self.folder}", "write one with `adstream archive`") from None
        if (made_with["topic"], made_with["topic_id"]) != (topic, topic_id):
            again = " as it was before it was made again" if made_with["topic"] == topic else ""
            raise BadInput(
                f"{self.folder} is an archive of topic {made_with['topic']}{again}, not of {topic}",
                "give the folder of this one",
            )

    def kept(self, since: datetime, until: datetime) -> dict[int, Kept]:
        """Raises BadInput for an archive with holes in it, or with something in it twice."""
        time, offset = F.col("timestamp"), F.col("offset")
        found = (
            self.rows()
            .groupBy("partition")
            .agg(
                F.min(offset).alias("begin"),
                (F.max(offset) + 1).alias("end"),
                F.count("*").alias("rows"),
                F.min(F.when(time >= F.lit(since), offset)).alias("since"),
                F.min(F.when(time >= F.lit(until), offset)).alias("until"),
            )
        )
        kept = {}
        for row in found.collect():
            begin, end = row["begin"], row["end"]
            if row["rows"] != end - begin:
                raise BadInput(
                    f"{self.name} has {row['rows']:,} messages of partition {row['partition']} where"
                    f" {end - begin:,} belong (offsets {begin:,} to {end - 1:,})",
                    "restore its files, or archive into another folder",
                )
            since_, until_ = row["since"], row["until"]
            kept[row["partition"]] = Kept(
                begin, end, end if since_ is None else since_, end if until_ is None else until_
            )
        return kept

    def read(self, ranges: Ranges) -> DataFrame:
        wanted = F.lit(False)
        for partition, (start, stop) in ranges.items():
            wanted |= (F.col("partition") == partition) & (F.col("offset") >= start) & (F.col("offset") < stop)
        return self.rows().where(wanted)

    def ends(self) -> dict[int, int]:
        """Where the archive ends, by partition."""
        found = self.rows().groupBy("partition").agg((F.max("offset") + 1).alias("end")).collect()
        return {row["partition"]: row["end"] for row in found}

    def extend(self, settings: Settings, topic: str, progress: Callable[[str], None] = lambda _line: None) -> Archived:
        """Add what the topic holds by now; run twice, it adds nothing. Raises TopicNotFound, BadInput."""
        topic_id = kafka.topic_id(settings, topic)
        try:
            self._note.claim({"topic": topic, "topic_id": topic_id})
        except CheckpointError:
            self.require(topic, topic_id)
        have = self.ends()
        begin, end = kafka.begin_offsets(settings, topic), kafka.end_offsets(settings, topic)
        at = {partition: max(have.get(partition, 0), begin[partition]) for partition in end}
        missed = sum(begin[each] - have[each] for each in have if begin.get(each, 0) > have[each])
        if missed:
            raise BadInput(
                f"{missed:,} messages have left Kafka since {self.folder} was written last, and are in neither",
                "archive into another folder from now on, and more often than the topic's retention",
            )
        before, written = sum(have.values()), 0
        while ranges := {each: (start, end[each]) for each, start in at.items() if start < end[each]}:
            day = self._first_day(settings, topic, ranges)
            stops = kafka.offsets_at(settings, topic, day + _DAY)
            today = {each: (start, min(stop, stops[each])) for each, (start, stop) in ranges.items()}
            # Broker times that ran backwards may leave nothing before the next day; then it is the rest at once.
            today = {each: (start, stop) for each, (start, stop) in today.items() if start < stop} or ranges
            count = sum(stop - start for start, stop in today.values())
            progress(f"{day:%Y-%m-%d}: {count:,} messages")
            self._write(topic_range(self.spark, settings.kafka, topic, today), day)
            written += count
            at |= {each: stop for each, (_, stop) in today.items()}
        return Archived(before, written)

    def _first_day(self, settings: Settings, topic: str, ranges: Ranges) -> datetime:
        """The day of the oldest message that is not archived yet; partitions are in order of broker time."""
        firsts = {each: (start, start + 1) for each, (start, _) in ranges.items()}
        oldest = topic_range(self.spark, settings.kafka, topic, firsts).agg(F.min(F.unix_millis("timestamp"))).first()
        millis = oldest[0] if oldest else 0
        return datetime.fromtimestamp(millis / 1_000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def _write(self, messages: DataFrame, day: datetime) -> None:
        """One task reads one partition of Kafka and writes one file."""
        self.spark.conf.set(*_TIMES)
        messages.select(*_NAMES).write.mode("append").parquet(f"{self.folder}/day={day:%Y-%m-%d}")

    @property
    def _note(self) -> Checkpoint:
        return Checkpoint(self.spark, self.folder)
