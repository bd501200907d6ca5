"""Archive a topic's raw messages as Parquet files: `FOLDER/day=2026-01-31/...`, with Kafka's own columns.

The files outlive the topic's retention, so that messages deleted in Kafka can still be computed again.

Not every offset is a message (transactions, compaction), so a gap between two messages proves nothing. After the
messages, each run therefore records the offsets of each partition, and the number of messages in them
(streaming.history.passages). The next run continues there, if Kafka still has what the archive has
(streaming.history.archived_log). A run that is killed before this record leaves at most one file per partition. That
file is complete, and the next run adopts it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from common import kafka
from common.errors import BadInput, CheckpointError
from common.kafka.isolation import BEFORE_ISOLATION, ISOLATION, made_at_level
from common.kafka.log_cuts import Known, cuts
from common.settings import IsolationLevel, Settings
from streaming.history import archived_log, passages
from streaming.history.available import Kept, Ranges
from streaming.history.passages import Passage
from streaming.recovery.checkpoint import Checkpoint, first_use
from streaming.sources import topic_range

COLUMNS = (
    "key binary, value binary, headers array<struct<key: string, value: binary>>,"
    " topic string, partition int, offset bigint, timestamp timestamp"
)
_NAMES = ("key", "value", "headers", "topic", "partition", "offset", "timestamp")
_DAY = timedelta(days=1)
# The first message of a day may be among this many offsets.
_LOOK_AT = (1, 1_000, 1_000_000, 2**62)
# Spark's default for times, INT96, is not used to select files.
_TIMES = ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")


@dataclass(frozen=True)
class Archived:
    """The number of messages before this run, and the number that this run has added."""

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
        # The note beside the days is not a Parquet file.
        reader = self.spark.read.schema(COLUMNS).option("pathGlobFilter", "*.parquet")
        return reader.parquet(self.folder).select(*_NAMES)

    def require(self, topic: str, topic_id: str, level: IsolationLevel) -> None:
        """Raise BadInput if there is no archive, or one of another topic or isolation level."""
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
        if made_at_level(made_with) != level:
            raise BadInput(
                f"{self.folder} was archived as {made_at_level(made_with)}, but the job reads as {level}",
                "archive the topic as the job reads it, into another folder",
            )

    def kept(self, since: datetime, until: datetime) -> dict[int, Kept]:
        """Return the archived messages, by partition.

        Raises BadInput for an archive with gaps or with repeated messages.
        """
        time, offset = F.col("timestamp"), F.col("offset")
        found = (
            self.rows()
            .groupBy("partition")
            .agg(
                F.min(F.when(time >= F.lit(since), offset)).alias("since"),
                F.max(F.when(time < F.lit(until), offset)).alias("older"),
                F.max(F.when(time >= F.lit(until), offset)).alias("younger"),
            )
        )
        firsts = {row["partition"]: row for row in found.collect()}
        kept = {}
        for partition, passage in self._passages().items():
            begin, end = passage.begin, passage.end
            row = firsts.get(partition)
            first, older, younger = (row["since"], row["older"], row["younger"]) if row else (None, None, None)
            # The first younger message is no limit: with producers' times older ones may follow it.
            upto = begin if older is None else older + 1
            stop = upto if younger is not None and younger >= upto else end
            kept[partition] = Kept(begin, end, end if first is None else first, stop)
        return kept

    def read(self, ranges: Ranges) -> DataFrame:
        wanted = F.lit(False)
        for partition, (start, stop) in ranges.items():
            wanted |= (F.col("partition") == partition) & (F.col("offset") >= start) & (F.col("offset") < stop)
        return self.rows().where(wanted)

    def extend(self, settings: Settings, topic: str, progress: Callable[[str], None] = lambda _line: None) -> Archived:
        """Append the topic's new messages; a second run adds nothing.

        Raises TopicNotFound, BadInput, and CheckpointError if the folder cannot be used.
        """
        topic_id = kafka.topic_id(settings, topic)
        level = {ISOLATION: settings.kafka.isolation_level}
        with first_use(self.name):
            try:
                kept = self._note.claim({"topic": topic, "topic_id": topic_id}, level, unwritten=BEFORE_ISOLATION)
            except CheckpointError:
                self.require(topic, topic_id, settings.kafka.isolation_level)
                raise
        if kept:
            settings = settings.reading(kept[ISOLATION])
            progress(f"{ISOLATION}={kept[ISOLATION]}, as the archive was made with; the setting is for new ones")
        have = self._passages(take_over=True)
        end = self._ends(settings, topic, {each: passage.end for each, passage in have.items()})
        begin = kafka.begin_offsets(settings, topic)
        at = {each: max(have[each].end if each in have else 0, begin[each]) for each in end}
        missed = sum(begin[each] - passage.end for each, passage in have.items() if begin.get(each, 0) > passage.end)
        if missed:
            raise BadInput(
                f"{missed:,} messages have left Kafka since {self.folder} was written last, and are in neither",
                "archive into another folder from now on, and more often than the topic's retention",
            )
        before, written = sum(passage.messages for passage in have.values()), 0
        while ranges := {each: (start, end[each]) for each, start in at.items() if start < end[each]}:
            today, added = ranges, dict.fromkeys(ranges, 0)
            if day := self._first_day(settings, topic, ranges):
                stops = kafka.offsets_at(settings, topic, day + _DAY)
                today = {each: (start, min(stop, stops[each])) for each, (start, stop) in ranges.items()}
                # If broker times ran backwards, no message may be left before the next day. Then this run takes all the
                # rest.
                today = {each: (start, stop) for each, (start, stop) in today.items() if start < stop} or ranges
                added = self._write(topic_range(self.spark, settings.kafka, topic, today), day, sorted(today))
                progress(f"{day:%Y-%m-%d}: {sum(added.values()):,} messages")
            passages.keep(self._note, {each: Passage(*today[each], added[each]) for each in today})
            written += sum(added.values())
            at |= {each: stop for each, (_, stop) in today.items()}
        return Archived(before, written)

    def _ends(self, settings: Settings, topic: str, archived: Mapping[int, int]) -> dict[int, int]:
        """Return where this run ends in each partition. Raises BadInput if archived messages are gone from Kafka."""
        log = {each: Known(*at) for each, at in kafka.leader_ends(settings, topic).items()}
        archived_log.require_kept(self._note, topic, archived, log, partial(cuts, settings, topic))
        ends = kafka.end_offsets(settings, topic)
        return {each: min(end, log[each].offset) if each in log else end for each, end in ends.items()}

    def _passages(self, *, take_over: bool = False) -> dict[int, Passage]:
        """Compare the recorded ranges of each partition with the messages in the files. Raises BadInput.

        Messages at the end without a record are accepted only to `take_over` them.
        """
        noted = passages.read(self._note)
        # An archive of an earlier release has no record of gaps.
        dense = ISOLATION not in self._note.made_with()
        inside = F.lit(False)
        for partition, passage in noted.items():
            inside |= (F.col("partition") == partition) & (F.col("offset") < passage.end)
        counts = F.min("offset").alias("begin"), (F.max("offset") + 1).alias("end"), F.count("*").alias("messages")
        found = self.rows().groupBy("partition", inside.alias("inside")).agg(*counts).collect()
        there = {row["partition"]: row["messages"] for row in found if row["inside"]}
        for partition, passage in noted.items():
            if there.get(partition, 0) != passage.messages:
                raise self._broken(partition, there.get(partition, 0), passage)
        new = {}
        for row in found:
            if not row["inside"]:
                partition = row["partition"]
                begin = noted[partition].end if partition in noted else row["begin"]
                new[partition] = passage = Passage(begin, row["end"], row["messages"])
                if dense and passage.messages != passage.end - passage.begin:
                    raise self._broken(
                        partition, passage.messages, replace(passage, messages=passage.end - passage.begin)
                    )
        if new and not dense and not take_over:
            raise BadInput(f"{self.name} was not finished", "run `adstream archive` again")
        if new and take_over:
            passages.keep(self._note, new)
        return passages.joined([noted, new])

    def _broken(self, partition: int, messages: int, passage: Passage) -> BadInput:
        return BadInput(
            f"{self.name} has {messages:,} messages of partition {partition} where {passage.messages:,} belong"
            f" (offsets {passage.begin:,} to {passage.end - 1:,})",
            "restore its files, or archive into another folder",
        )

    def _first_day(self, settings: Settings, topic: str, ranges: Ranges) -> datetime | None:
        """Return the day of the oldest message that is not archived yet; partitions are in order of broker time.

        None if the ranges hold no message. The first offset may hold none, so the search looks at more and more of
        them.
        """
        first: list[int] = []
        left = ranges
        for most in _LOOK_AT:
            looked_at = {each: (start, min(start + most, stop)) for each, (start, stop) in left.items()}
            messages = topic_range(self.spark, settings.kafka, topic, looked_at)
            oldest = messages.groupBy("partition").agg(F.min(F.unix_millis("timestamp")).alias("millis")).collect()
            first += [row["millis"] for row in oldest]
            found = {row["partition"] for row in oldest}
            left = {
                each: (start, stop)
                for each, (start, stop) in left.items()
                if each not in found and looked_at[each][1] < stop
            }
            if not left:
                break
        if not first:
            return None
        moment = datetime.fromtimestamp(min(first) / 1_000, UTC)
        return moment.replace(hour=0, minute=0, second=0, microsecond=0)

    def _write(self, messages: DataFrame, day: datetime, partitions: list[int]) -> dict[int, int]:
        """Write the messages: one task reads one partition of Kafka and writes one file.

        Returns the number of messages of each partition.
        """
        self.spark.conf.set(*_TIMES)
        seen = Observation()
        of_each = [F.count_if(F.col("partition") == each).alias(str(each)) for each in partitions]
        counted = messages.select(*_NAMES).observe(seen, *of_each)
        counted.write.mode("append").parquet(f"{self.folder}/day={day:%Y-%m-%d}")
        return {each: seen.get[str(each)] for each in partitions}

    @property
    def _note(self) -> Checkpoint:
        return Checkpoint(self.spark, self.folder)
