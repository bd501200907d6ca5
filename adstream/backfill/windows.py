"""Compute windows again from Kafka or an archive, and compare them with the table, or correct the table.

A backfill checks only *closed* windows: the watermark of the newest committed batch has passed their end. The next
batch, and every later one, drops any event for them, because Spark compares with the watermark of the batch before. So
the stream never writes them again, and no later message belongs to them.

A correction is safe while the stream runs. It writes with a new lease (common.bookkeeping.leases), larger than the
timestamp of every write of the running stream, including later ones. So the stream's writes to these windows lose. The
stream does not write to them again: neither in a running batch, nor in its replay after a crash under a newer lease
than the correction's. Both come after the committed batch and use its watermark. A driver that was replaced long ago
and wakes up has a smaller lease. Only a stream that starts over with another checkpoint writes these windows again, and
then its rows are meant to win. The values are absolute, so somebody simply runs an interrupted correction again.

A backfill leaves totals alone. The running stream holds them in its state and writes them with every batch. It would
undo a correction, or count it twice. The report says what late events would add to totals.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from adstream.backfill.closed import Committed, closed, piece
from adstream.backfill.request import Found, LateSums, Listener, Request
from adstream.dead_letters.letters import Place, Wanted, read
from adstream.verify.oracle import Sums
from adstream.verify.tables import Comparison
from adstream.verify.window_rows import TABLE, WindowKey, WindowRows, compare_rows
from common import kafka
from common.bookkeeping import leases
from common.bookkeeping.backfills import Backfill, Span, among, record, recorded, spans
from common.cassandra.kept_rows import kept_since
from common.cassandra.session import connect
from common.contracts import Contract
from common.errors import BadInput, TopicNotFound
from common.event_rules import AHEAD
from common.kafka.isolation import made_at_level
from common.reasons import CRASHES_THE_JOB, UNKNOWN_SCHEMA_ID
from common.registry.writers import MOST_ASKED, Writers
from common.settings import Settings
from streaming.events.unknown_ids import other_ids
from streaming.history import recount
from streaming.history.archive import Archive
from streaming.history.available import InKafka, Messages, lost, needed, require_all
from streaming.job import Job
from streaming.micro_batch.pipeline import Pipeline
from streaming.query.counted_log import CountedLog
from streaming.recovery.checkpoint import Checkpoint, first_use
from streaming.sinks.sink import Stamp, into_all


class Recount:
    """One backfill: `compare` first; `correct` then writes the rows that differ.

    Raises ConfigError, BadInput or CheckpointError, from the start on, if the windows cannot be computed again.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        job: Job,
        checkpoint: str,
        request: Request,
        *,
        now: datetime,
        listener: Listener,
    ) -> None:
        self._spark = spark
        self._listener = listener
        self._late = request.late
        kept_by = Checkpoint(spark, checkpoint)
        with first_use(f"checkpoint {checkpoint}"):
            self._committed = committed = Committed.by(kept_by, job)
        # The backfill reads like the job: messages that the job has never seen do not belong in its windows.
        self._settings = settings.reading(made_at_level(committed.made_with))
        self._job = job.as_described(committed.made_with)
        place = self._place(kept_by, request.archive)
        oldest = kept_since(settings.cassandra, TABLE, now)
        start, end, still_open = closed(self._job, request, committed.watermark, oldest=oldest, now=now)
        done = recorded(settings.cassandra, job.name, committed.id)
        if request.late:
            done.append(Backfill(0, start, end, True, committed.upto, 0, 0, 0, now))
        self._spans = spans(start, end, done, longest=piece(self._job))
        self._events = self._usable(kept_by, place, start, end, done)
        self.found = Found(start, end, still_open, self._messages)

    def compare(self) -> Found:
        """Compare every row, both ways. Add up late events if they count."""
        found = self.found
        with connect(self._settings.cassandra, keyspace=self._settings.cassandra.keyspace) as session:
            rows = WindowRows(self._settings.cassandra, session)
            for done, span in enumerate(self._spans):
                self._listener.progress(done, len(self._spans))
                before = found.comparison.different
                must = _sums(self._computed(span))
                compare_rows(found.comparison, must, rows.read(span.start, span.end, must))
                if found.comparison.different > before:
                    found.differing.append(span)
        whole = Span(found.start, found.end, self._committed.upto if self._late else {})
        found.events = recount.counting(self._events, self._job, whole).count()
        if self._late:
            self._add_late(whole)
        return found

    def correct(self, clock: Callable[[], datetime]) -> tuple[int, Comparison]:
        """Upsert the rows that differ, and compare them again.

        Returns the number of rows, and the remaining differences. The record of the correction follows the rows. Until
        then a ledger without the record is right.
        """
        found, cassandra = self.found, self._settings.cassandra
        stamp = Stamp(clock(), leases.take(cassandra, self._job.name))
        written, again = 0, Comparison()
        with connect(cassandra, keyspace=cassandra.keyspace) as session:
            rows = WindowRows(cassandra, session)
            for done, span in enumerate(found.differing):
                self._listener.progress(done, len(found.differing))
                table = self._computed(span)
                must = _sums(table)
                written += self._write(table, must, rows.read(span.start, span.end, must), stamp)
                compare_rows(again, must, rows.read(span.start, span.end, must))
        late_events = sum(each.events for each in found.late.values())
        if written or late_events:
            done_now = Backfill(
                lease=stamp.micros,
                start=found.start,
                end=found.end,
                late=self._late,
                upto=self._committed.upto,
                events=found.events,
                late_events=late_events,
                rows=written,
                finished=clock(),
            )
            record(cassandra, self._job.name, self._committed.id, done_now)
        return written, again

    def _write(
        self, table: pa.Table, must: Mapping[WindowKey, Sums], has: Mapping[WindowKey, Sums], stamp: Stamp
    ) -> int:
        wrong = [place for place, (key, sums) in enumerate(must.items()) if has.get(key) != sums]
        if not wrong:
            return 0
        rows = self._spark.createDataFrame(table.take(wrong), self._schema)
        write = into_all([sink.open(self._spark, self._settings, rows.schema) for sink in self._job.sinks])
        return write(rows, stamp)

    def _computed(self, span: Span) -> pa.Table:
        rows = recount.windows(self._events, self._job, span)
        self._schema = rows.schema
        return rows.toArrow()

    def _usable(
        self, checkpoint: Checkpoint, place: Messages, start: datetime, end: datetime, backfills: Sequence[Backfill]
    ) -> DataFrame:
        committed, job = self._committed, self._job
        topic = committed.made_with["topic"]
        state = job.watermark or timedelta(0)
        since, until = recount.needed_times(job, start, end, ahead=AHEAD, state=state)
        kept = place.kept(since, until)
        whole = any(span.late_upto for span in self._spans)
        ranges = needed(kept, committed.first, committed.upto, whole=whole)
        require_all(place, kept, ranges, lost(kept, committed.first, committed.upto), since)
        self._messages = sum(stop - first for first, stop in ranges.values())
        self._listener.notice(f"reading {self._messages:,} offsets of {place.name}")
        messages = place.read(ranges)
        dead = _dead_when_read(self._settings, topic, job.name, checkpoint.made_at())
        for partition in {each.partition for each in dead}:
            offsets = [each.offset for each in dead if each.partition == partition]
            messages = messages.where((F.col("partition") != partition) | ~F.col("offset").isin(offsets))
        pipeline = Pipeline(job, self._writers(topic, messages), json=job.json)
        judged = pipeline.judged(messages)
        return recount.usable(judged, job, among(backfills, ranges), by_time=committed.real_time).persist()

    def _writers(self, topic: str, messages: DataFrame) -> dict[int, Contract]:
        """Return the writer schemas of the messages. Reads the ids first, without decoding anything."""
        writers = Writers.of(self._settings.registry, topic)
        writers.registered(other_ids(messages, writers.known(), MOST_ASKED), ())
        return writers.contracts()

    def _place(self, checkpoint: Checkpoint, archive: str | None) -> Messages:
        """Return the place of the messages that the job has counted. Raises BadInput, CheckpointError."""
        made_with = self._committed.made_with
        topic = made_with["topic"]
        if archive is not None:
            folder = Archive(self._spark, archive)
            with first_use(folder.name):
                folder.require(topic, made_with["topic_id"], self._settings.kafka.isolation_level)
            return folder
        if kafka.topic_id(self._settings, topic) != made_with["topic_id"]:
            raise BadInput(
                f"topic {topic} was deleted and made again since the checkpoint was made",
                "read an archive of the first one: --archive FOLDER",
            )
        # After a power cut other messages may have the offsets of counted ones.
        real_time = self._committed.real_time
        CountedLog.in_kafka(self._settings, topic, checkpoint, real_time=real_time).require_counted()
        return InKafka(self._spark, self._settings, topic)

    def _add_late(self, whole: Span) -> None:
        found = self.found
        for row in recount.late_by_ad(self._events, self._job, whole).collect():
            cost = Decimal(row["micros"]).scaleb(-6)
            found.late[row["ad_id"]] = LateSums(row["events"], row["clicks"], row["views"], cost)
            found.delay = max(found.delay, timedelta(milliseconds=row["delay"]))


def _dead_when_read(settings: Settings, topic: str, job: str, made: datetime) -> set[Place]:
    """Return the places of messages that the job could not use when it read them, although they are good today.

    Their schema was registered later, or the job crashed on them. Letters from before the checkpoint was `made` belong
    to an earlier run.
    """
    try:
        return {
            place
            for reason in (UNKNOWN_SCHEMA_ID, CRASHES_THE_JOB)
            for place in read(settings, Wanted(topic=topic, reason=reason, job=job, since=made), whole=False)
        }
    except TopicNotFound:
        return set()


def _sums(table: pa.Table) -> dict[WindowKey, Sums]:
    return {
        (row["ad_id"], row["window_start"].astimezone(UTC)): Sums(
            row["total_clicks"], row["total_views"], row["total_cost"], row["avg_cost_per_view"]
        )
        for row in table.to_pylist()
    }
