"""Run one job: build the plan, retry after passing faults, and stop between two batches.

The runner retries a failed batch from its checkpoint, after a growing pause, a bounded number of times in a row. A
batch that commits resets the count, and so does a trigger that finds no data. A schema that only the registry knows is
not a failure. The runner makes a new plan with this schema, and goes on from the same checkpoint.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from common.bookkeeping import leases
from common.cassandra.session import require_tables
from common.errors import AdstreamError, CheckpointError, JobFailed, ServiceUnavailable
from common.kafka import clocks
from common.kafka.isolation import ISOLATION
from common.lateness.late_events import TABLE as LATE_EVENTS
from common.registry.writers import MOST_ASKED, Writers
from common.settings import IsolationLevel, Settings
from streaming.events.unknown_ids import other_ids
from streaming.job import Job
from streaming.micro_batch.late_batches import LateBatches
from streaming.micro_batch.pipeline import Pipeline
from streaming.micro_batch.progress import BatchReport, replayed, reports, with_ends
from streaming.micro_batch.running_counts import RunningBatch
from streaming.micro_batch.writer import Batches, BatchWriter, NewWriterSchema, PlanAgain, StopRequested
from streaming.monitoring.held_back import HeldBack
from streaming.monitoring.listener import Listener
from streaming.query.claim import claim, refuse_what_cannot_go_on
from streaming.query.clock_watch import ClockSetBack, ClockWatch
from streaming.query.counted_log import CountedLog
from streaming.query.crash_search import CrashSearch
from streaming.query.failures import ATTEMPTS, FINAL, pause_after
from streaming.query.options import Options
from streaming.query.ownership import Ownership
from streaming.query.plans import Plans
from streaming.recovery.causes import line
from streaming.recovery.checkpoint import Checkpoint, first_use, held
from streaming.recovery.quarantine import CRASHES, Ranges
from streaming.sinks import dead_letters
from streaming.sinks.cassandra_rows import close_session
from streaming.sinks.sink import Sink, into_all, tables_of
from streaming.sources import Topic
from streaming.spark import state_store

_POLL_SECONDS = 0.2


class Runner:
    """One job on one session, until `stopping` is set, its input ends (`once`), or it fails for good.

    This runner works in micro-batches; streaming.real_time.runner works in real-time mode.
    """

    real_time = False
    _stopping_notice = "stopping after the running batch"

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        job: Job,
        options: Options,
        *,
        listener: Listener,
        stopping: threading.Event,
    ) -> None:
        self._spark = spark
        self._settings = settings
        self._job = job
        self._options = options
        self._listener = listener
        self._stopping = stopping
        self._source = options.source_of(settings, job)
        self._schemas = Writers.of(settings.registry, self._source.name)
        self._checkpoint = Checkpoint(spark, options.checkpoint)
        self._plans = Plans(
            spark,
            job,
            self._checkpoint,
            None if self._source.json_only else self._schemas,
            lookup=options.lookup,
            notice=listener.notice,
        )
        self._pipeline = Pipeline(job, {}, json=True)
        self._timestamps: Callable[[], int] = leases.now_micros
        self._tables = tables_of(self._sinks)
        self._late = LateBatches(
            job,
            self._checkpoint,
            self._judged_again,
            table=settings.cassandra if self._tables else None,
            notice=listener.notice,
        )
        self._held_back: HeldBack | None = None
        self._log: CountedLog | None = None
        self._ownership = Ownership(settings, job.name, self._source.name, self._checkpoint, self._tables)

    def run(self) -> None:
        """Run the job. Raises JobFailed after the last attempt, or at once for an error that no attempt can repair."""
        with held(self._options.checkpoint):
            with first_use(f"checkpoint {self._options.checkpoint}"):
                self._claim()
            try:
                self._run()
            finally:
                close_session()

    def _run(self) -> None:
        self._say_what_is_read()
        failures = 0
        begun = False
        while not self._stopping.is_set():
            committed, error = self._attempt(begun=begun)
            begun = True
            if committed:
                failures = 0
            if error is None or isinstance(error, StopRequested):
                if error is None and self._held_back is not None:
                    self._held_back.at_the_end()
                return
            if isinstance(error, PlanAgain):
                if isinstance(error, NewWriterSchema):
                    self._listener.notice(f"new schema version on {self._source.name}: going on with it ({error})")
                continue
            failures += 1
            self._listener.failed(line(error))
            if isinstance(error, FINAL):
                raise error
            refuse_what_cannot_go_on(error, self._source, self._checkpoint, last=failures >= ATTEMPTS)
            if failures >= ATTEMPTS:
                raise JobFailed(
                    f"{self._job.name} failed {failures} times on the same batch: {line(error)}",
                    "repair that, and start the job again: it goes on from its checkpoint and nothing is lost",
                ) from error
            if failures == CRASHES and not isinstance(error, AdstreamError) and self._set_culprits_aside():
                failures = 0
                continue
            pause = pause_after(failures)
            self._listener.notice(
                f"batch failed ({failures} of {ATTEMPTS}): {line(error)}; trying again in {pause.seconds} s"
            )
            self._stopping.wait(pause.total_seconds())

    def _say_what_is_read(self) -> None:
        self._listener.notice(f"reading from {self._source.name}, checkpoint {self._options.checkpoint}")
        clocks_told = clocks.told(self._settings, self._source.name) if isinstance(self._source, Topic) else []
        for told in [*state_store.told(), *clocks_told]:
            self._listener.notice(told)

    def _attempt(self, *, begun: bool) -> tuple[int, Exception | None]:
        """Run a query to its end. Returns what `_follow` does, and why the query ended: None if its input did.

        A service that is down counts as a failed attempt, and so does a plan that Spark refuses, as while the input's
        folder is away. If nothing has `begun`, the user hears both at once.
        """
        try:
            writer, query = self._start()
        except (ServiceUnavailable, PySparkException) as unavailable:
            if not begun:
                raise
            return 0, unavailable
        except Py4JJavaError as not_started:
            return 0, not_started
        committed = self._follow(writer, query)
        error = self._failure(writer, query)
        if error is not None and "CONCURRENT_STREAM_LOG_UPDATE" in str(error):
            # This driver's later writes have an older lease than the other driver's, so they lose.
            raise CheckpointError(
                f"another driver runs on checkpoint {self._checkpoint.path}", "stop all but one"
            ) from error
        if error is not None and not committed and not isinstance(error, StopRequested) and self._replayed(writer):
            return 1, _Replayed()
        return committed, error

    def _claim(self) -> None:
        kept = claim(
            self._settings,
            self._job,
            self._source,
            self._checkpoint,
            real_time=self.real_time,
            dead_letters=self._publishes_dead_letters,
        )
        for name, value in kept.items():
            self._listener.notice(f"{name}={value}, as the checkpoint was made with; the setting is for new ones")
        self._read_at(kept.get(ISOLATION))
        self._checkpoint.require_whole()
        if self._tables:
            require_tables(self._settings.cassandra, (LATE_EVENTS,))
            self._ownership.require(fresh=self._is_fresh())
        if isinstance(self._source, Topic):
            self._source = self._source.pinned()
            self._source.require_kept(self._checkpoint)
            self._log = CountedLog.in_kafka(
                self._settings, self._source.name, self._checkpoint, real_time=self.real_time
            )

    def _read_at(self, level: IsolationLevel | None) -> None:
        """Read at one isolation level for all.

        Nobody could verify messages that one batch counted and the next one would not see.
        """
        if not isinstance(self._source, Topic):
            return
        if level is not None:
            self._settings = self._settings.reading(level)
            self._source = self._source.reading(level)
        self._held_back = HeldBack(
            self._settings, self._source.name, told=self._listener.held_back, notice=self._listener.notice
        )

    def _is_fresh(self) -> bool:
        """Return whether the tables can hold nothing that this checkpoint has counted."""
        return not self._checkpoint.batches()

    def _writers_timestamp(self) -> int:
        """Return the timestamp for the next batch.

        Before the first batch this records the checkpoint as the owner of the tables.
        """
        self._ownership.take(fresh=self._is_fresh())
        return self._timestamps()

    @property
    def _sinks(self) -> tuple[Sink, ...]:
        return self._options.sinks_of(self._job)

    @property
    def _publishes_dead_letters(self) -> bool:
        return not self._source.json_only and self._options.sinks is None

    def _registered(self, batch_id: int, ids: Sequence[int]) -> set[int]:
        if self._source.json_only:
            return set()
        planned = self._pipeline.writers.keys()
        # The sketch drops any of the equally rare ids. The batch itself shows the most frequent ones.
        if len(ids) >= MOST_ASKED and (messages := self._messages_again(batch_id)) is not None:
            ids = other_ids(messages, planned, MOST_ASKED)
        return self._schemas.registered(ids, planned)

    def _start(self) -> tuple[Batches, StreamingQuery]:
        spark, job = self._spark, self._job
        if self._log is not None:
            self._log.check()
        self._pipeline = self._suited(self._plans.made())
        self._plans.tell_unreadable(self._pipeline)
        # A batch without data emits the rows that append mode holds back, and lets timers fire. Other jobs gain nothing
        # from it.
        idle_batches = job.output_mode == "append" or job.arbitrary_state
        spark.conf.set("spark.sql.streaming.noDataMicroBatches.enabled", idle_batches)
        rows = self._pipeline.rows(self._source.stream(spark))
        spark.conf.set(state_store.PROVIDER, state_store.suited(rows, job.output_mode, self._settings.spark))
        if self._tables:
            # Take the lease now and not with the first batch. A driver that hangs in between must have an older lease
            # than its successor.
            self._timestamps = leases.Lease(partial(leases.take, self._settings.cassandra, job.name)).next
        return self._query(rows)

    def _suited(self, planned: Pipeline) -> Pipeline:
        """Return the plan as this runner needs it."""
        return planned

    def _query(self, rows: DataFrame) -> tuple[Batches, StreamingQuery]:
        """Start a query that writes these rows. Returns it with the results of its batches."""
        running = RunningBatch()
        writer = BatchWriter(
            write=into_all([sink.open(self._spark, self._settings, rows.schema) for sink in self._sinks]),
            observed=running,
            keep_late=self._late.running,
            reread=self._judged_again,
            publish=self._publish,
            registered=self._registered,
            timestamps=self._writers_timestamp,
            still_there=self._log.require_same_leaders if self._log else lambda: None,
            stopping=self._stopping,
        )
        query = (
            rows.writeStream.queryName(self._job.name)
            .outputMode(self._job.output_mode)
            .option("checkpointLocation", self._options.checkpoint)
            .trigger(**self._options.micro_batches())
            .foreachBatch(writer)
            .start()
        )
        running.started(query)
        return writer, query

    def _messages_again(self, batch_id: int) -> DataFrame | None:
        return self._source.batch_again(self._spark, self._checkpoint, batch_id)

    def _judged_again(self, batch_id: int) -> DataFrame | None:
        messages = self._messages_again(batch_id)
        return None if messages is None else self._pipeline.judged(messages)

    def _set_culprits_aside(self) -> bool:
        source = self._source
        if not isinstance(source, Topic):
            return False
        search = CrashSearch(self._spark, self._settings.kafka, source.name, self._pipeline, self._checkpoint)
        with suppress(Py4JJavaError, ServiceUnavailable):  # the checkpoint or Kafka is away
            return search.set_aside(self._suspected(source), self._listener.notice)
        return False

    def _suspected(self, source: Topic) -> Ranges:
        """Return the messages of the batch that has crashed."""
        return self._checkpoint.running_offsets(source.name)

    def _publish(self, dead: DataFrame) -> None:
        if self._publishes_dead_letters:
            dead_letters.publish(dead, self._settings.kafka, self._settings.topic.dead_letters, self._job.name)
        elif self._source.json_only:
            for told in dead_letters.told(dead):
                self._listener.notice(told)

    def _replayed(self, writer: Batches) -> bool:
        """Return whether the query ended *after* it had committed a batch, and report that batch.

        Spark 4.1.1 fails in its own report of the first batch after a restart if that batch is a replay. The Kafka
        source has not asked for the newest offsets yet (a NullPointerException in KafkaMicroBatchStream.metrics,
        SPARK-55271). The batch is already written and committed then, so the query only has to start again.
        """
        with suppress(Py4JJavaError):  # the checkpoint is away
            for batch_id in writer.written:
                if writer.error is None and self._checkpoint.is_committed(batch_id):
                    self._listener.batch(replace(replayed(batch_id, writer), late_option=self._job.late_option))
                    return True
        return False

    def _follow(self, writer: Batches, query: StreamingQuery) -> int:
        """Report batches until the query ends. Returns how many it has committed, or how many triggers had no data."""
        committed, before, last = 0, 0, -1
        ended = asked = False
        clock = ClockWatch()
        while not ended:
            try:
                ended = bool(query.awaitTermination(_POLL_SECONDS))  # type: ignore[arg-type]  # takes fractions
            except StreamingQueryException:
                ended = True
            self._listener.polled(query)
            self._polled(query)
            for report in reports(query, after=last, writer=writer):
                told = with_ends(report, self._held_back.ends() if self._held_back else {})
                self._listener.batch(self._late.committed(told, writer.written))
                last = report.batch_id
                committed += 1
                self._committed(report)
            if self._held_back is not None and not ended:
                self._held_back.idle()
            if not ended:
                self._end_if_set_back(clock, writer, query)
            if self._stopping.is_set() and not ended:
                if not asked:
                    self._listener.notice(self._stopping_notice)
                    asked, before = True, committed
                if self._may_stop(query, committed > before):
                    query.stop()
        return committed or len(query._jsq.recentProgress())

    def _end_if_set_back(self, clock: ClockWatch, writer: Batches, query: StreamingQuery) -> None:
        """End a query that would wait for a wall clock that was set back. A running micro-batch ends first."""
        back = 0.0 if self._options.once or writer.error else clock.set_back_by()
        if back and (self.real_time or not query.status["isTriggerActive"]):
            self._listener.notice(f"the clock of this machine went back by {back:,.0f} s: starting the query again")
            writer.error = ClockSetBack()
            query.stop()

    def _polled(self, query: StreamingQuery) -> None:
        """Do nothing; a subclass is called a few times a second while the query runs."""

    def _committed(self, report: BatchReport) -> None:
        """Do nothing; a subclass is called after each report of a batch."""

    def _may_stop(self, query: StreamingQuery, _committed_since: bool) -> bool:
        """Return whether the query may stop.

        A running batch ends first, and the next one refuses to begin (BatchWriter).
        """
        return not query.status["isTriggerActive"]

    def _failure(self, writer: Batches, query: StreamingQuery) -> Exception | None:
        """Return why the query has ended; None if its input did, or it was stopped."""
        if isinstance(writer.error, ClockSetBack):
            return writer.error
        ended_by = query.exception()
        return None if ended_by is None else writer.error or ended_by


class _Replayed(PlanAgain):
    """The query ended after it had committed the repeated batch."""
