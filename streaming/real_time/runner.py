"""Run one job in real-time mode: each event's rows go to the updates topic at once, and from there to the tables.

A query works in long batches. Its rows leave at once. Spark commits its offsets and state at the end of the batch.
After a crash the query counts the events since the last commit again. Their rows have smaller versions at first, so
newer rows stay. A real-time batch publishes dead letters and counts late events after its commit, a micro-batch before
it (streaming.real_time.settling).
"""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from common import kafka
from common.bookkeeping import leases
from common.errors import (
    AccessDenied,
    AdstreamError,
    CheckpointError,
    ConfigError,
    JobFailed,
    ServiceUnavailable,
    SinkError,
    TopicNotFound,
)
from common.registry import RegistryClient
from common.registry.writers import MOST_ASKED
from common.text.durations import duration_text
from streaming.events.unknown_ids import other_ids
from streaming.events.unplanned import MOST_REFUSED, largest_new
from streaming.micro_batch.pipeline import Pipeline
from streaming.micro_batch.progress import BatchReport
from streaming.micro_batch.writer import Batches, NewWriterSchema, PlanAgain
from streaming.patterns.versions import versioned
from streaming.query.runner import Runner
from streaming.real_time.applying_process import ApplyingProcess
from streaming.real_time.changelog import Versions, contract_of, messages
from streaming.real_time.rehearsal import BATCHES, MOST_SECONDS, Rehearsal
from streaming.real_time.settling import NOTE, Settling
from streaming.real_time.starts import Starts
from streaming.real_time.suits import slots
from streaming.real_time.updates import Updates, UpdatesLost
from streaming.recovery.causes import first_cause
from streaming.recovery.quarantine import Ranges
from streaming.sinks.dead_letters import producer_options
from streaming.sources import Topic, topic_range
from streaming.spark.session import log_of

_LEASE = "lease"
# A longer time delays rows; a shorter one sends more requests with fewer rows.
_LINGER_MILLIS = 2
# Kafka is asked so often what has been applied, and how far the logs reach.
_ASK_EVERY_SECONDS = 2.0
# The rehearsal's batches take a slot, and a real-time batch cannot begin without all of its own.
_ROOM_FOR_REHEARSAL = timedelta(seconds=2 * MOST_SECONDS)
_DRAIN_SECONDS = 30.0
_DRAIN_POLL_SECONDS = 0.2


class RealTimeRunner(Runner):
    """A Runner in real-time mode. `_trigger` is the length of a batch."""

    real_time = True

    def __init__(self, *given: Any, applied: Callable[[Mapping[str, Any]], None], **named: Any) -> None:  # noqa: ANN401
        """Take the arguments of Runner; `applied` gets each report of the applying process."""
        super().__init__(*given, **named)
        if isinstance(self._source, Topic):
            self._source = replace(self._source, bounded=False)
        self._starts = Starts(self._checkpoint)
        self._updates = Updates.in_kafka(self._settings, self._job, self._checkpoint, self._listener.notice)
        self._told_applied = applied
        self._next_question = 0.0
        self._stopping_notice += (
            f", in {duration_text(self._options.trigger)} at most; a second Ctrl-C stops at once, "
            "and the next start counts the batch again"
        )
        self._applying: ApplyingProcess | None = None
        self._rehearsal: Rehearsal | None = None
        self._settling: Settling | None = None
        # Schema ids in messages that the registry did not know.
        self._refused: set[int] = set()

    def _claim(self) -> None:
        super()._claim()
        partitions = len(kafka.end_offsets(self._settings, self._source.name))
        state = int(self._checkpoint.made_with()["shuffle_partitions"])
        needed = slots(partitions, state, dedupe=bool(self._job.parameters.get("dedupe")))
        has = self._spark.sparkContext.defaultParallelism
        if has < needed:
            raise ConfigError(
                f"{self._job.name} needs {needed} slots in real-time mode, for all tasks at once, and has {has}",
                f"give --master local[{needed}], or a cluster with as many cores",
            )

    def _run(self) -> None:
        self._updates.make()  # the applying process ends without its topic
        member = f"{socket.gethostname()}-{self._checkpoint.id}"
        self._applying = ApplyingProcess(
            self._job.name, member=member, told=self._told_applied, notice=self._listener.notice
        )
        self._applying.start()
        with ExitStack() as ends:
            for end in (self._updates.close, self._applying.stop, self._end_rehearsal):  # the last one comes first
                ends.callback(end)
            try:
                super()._run()
                self._drain()
            except KeyboardInterrupt:
                self._applying.kill()  # at once, and not when all rows are applied
                raise

    def _watch(self) -> None:
        if self._applying is not None:
            self._applying.watch()

    def _suited(self, planned: Pipeline) -> Pipeline:
        refused = frozenset(self._refused) if len(self._refused) < MOST_REFUSED else None
        return replace(planned, real_time=True, refused=refused)

    def _query(self, rows: DataFrame) -> tuple[Batches, StreamingQuery]:
        if not versioned(rows):
            raise ConfigError(
                f"{self._job.name} does not run in real-time mode: its rows have no version",
                "let its pattern add streaming.patterns.versions to its aggregates and its select, as ad_clicks does",
            )
        self._updates.open()
        contract = contract_of(self._job, self._updates.topic, rows.schema)
        schema_id = RegistryClient(self._settings.registry).put(contract, documentation=False).id
        self._settling = settling = self._settled()
        self._ownership.take(fresh=self._is_fresh())
        out = messages(rows, self._job.key, contract, schema_id, self._versions())
        options = producer_options(self._settings.kafka, self._updates.topic) | {
            "kafka.linger.ms": str(_LINGER_MILLIS),
            "kafka.batch.size": str(64 * 1024),
        }
        length = f"{self._options.trigger // timedelta(milliseconds=1)} milliseconds"
        query = (
            out.writeStream.queryName(self._job.name)
            .format("kafka")
            .options(**options)
            .outputMode(self._job.output_mode)
            .option("checkpointLocation", self._options.checkpoint)
            .trigger(realTime=length)  # type: ignore[call-overload]  # the types are an older Spark's
            .start()
        )
        self._rehearsal = self._rehearsal or self._rehearsed(out)
        return settling, query

    def _rehearsed(self, rows: DataFrame) -> Rehearsal:
        return Rehearsal(rows, batches=BATCHES if self._options.trigger >= _ROOM_FOR_REHEARSAL else 0)

    def _end_rehearsal(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.stop()

    def _settled(self) -> Settling:
        settling = Settling(
            self._job,
            self._checkpoint,
            self._late,
            pipeline=self._pipeline,
            messages_again=self._messages_again,
            publish=self._publish,
            timestamps=self._timestamps,
            ends=lambda: kafka.end_offsets(self._settings, self._source.name),
        )
        try:
            settling.catch_up()
        except SinkError as error:  # passes as often as that of a batch, which is tried again
            raise ServiceUnavailable(error.problem, error.remedy) from error
        except (PySparkException, Py4JJavaError) as error:
            self._require_unsettled_messages()
            raise ServiceUnavailable(
                f"a batch of the last run could not be settled: {first_cause(error)}",
                f"see {log_of(self._settings, self._job.name)}",
            ) from error
        return settling

    def _require_unsettled_messages(self) -> None:
        """Raise CheckpointError if messages of a batch are gone that is not settled: nobody can settle it any more."""
        last, topic = self._checkpoint.marked(NOTE), self._source.name
        begins = kafka.begin_offsets(self._settings, topic)
        for batch_id in self._checkpoint.committed_after(-1 if last is None else last):
            for partition, (first, end) in self._checkpoint.batch_offsets(topic, batch_id).items():
                if first < min(end, begins.get(partition, 0)):
                    raise CheckpointError(
                        f"checkpoint {self._checkpoint.path} has not written the dead letters of batch {batch_id}, and "
                        f"{topic}, partition {partition}, no longer has all of the batch's messages",
                        "`adstream reset JOB` begins anew with what is left",
                    )

    def _versions(self) -> Versions:
        """Return versions for one more start.

        The checkpoint notes the start before any use: an earlier start may have counted the rows in the tables. All
        earlier batches are settled, so only batches of this start will be judged by its schemas.
        """
        leased = self._checkpoint.notes(_LEASE)
        if not leased:
            leased = [str(leases.take(self._settings.cassandra, self._job.name))]
            self._checkpoint.note(_LEASE, leased[0])
        return Versions(int(leased[0]), self._starts.note(self._pipeline.writers))

    def _is_fresh(self) -> bool:
        return not self._starts.number()

    def _follow(self, writer: Batches, query: StreamingQuery) -> int:
        """Report batches until the query ends. Returns how many it has committed, also if an error has ended it."""
        try:
            super()._follow(writer, query)
        except JobFailed:
            query.stop()
            raise
        except UpdatesLost:
            writer.error = PlanAgain(f"rows in topic {self._updates.topic} may be gone")
            query.stop()
        except (AdstreamError, PlanAgain, PySparkException, Py4JJavaError) as error:
            writer.error = error
            query.stop()
        return self._committed_batches()

    def _committed_batches(self) -> int:
        """Return how many batches the query has committed; 0 if nobody can tell, since the checkpoint is away."""
        with suppress(Py4JJavaError):
            return self._settling.committed() if self._settling else 0
        return 0

    def _polled(self, _query: StreamingQuery) -> None:
        self._watch()
        if (now := time.monotonic()) < self._next_question:
            return
        self._next_question = now + _ASK_EVERY_SECONDS
        with suppress(ServiceUnavailable, AccessDenied):  # asked again the next time
            self._updates.note_applied()
        if self._log is not None:
            with suppress(ServiceUnavailable):
                self._log.look()

    def _committed(self, report: BatchReport) -> None:
        self._updates.committed(report.batch_id)
        if self._log is not None:
            with suppress(ServiceUnavailable):  # the next batch asks again
                self._log.check()
        unknown = self._settling.unknown_ids if self._settling else ()
        if unknown and (new := self._schemas.registered(unknown, self._pipeline.writers.keys())):
            raise NewWriterSchema(_named(new))

    def _may_stop(self, _query: StreamingQuery, committed_since: bool) -> bool:
        """Return whether the query may stop: after the first commit that follows the wish.

        The next start counts the events again that were read since that commit.
        """
        return committed_since

    def _failure(self, writer: Batches, query: StreamingQuery) -> Exception | None:
        ended_by = query.exception()
        if writer.error is not None or ended_by is None:
            return writer.error
        try:
            return self._unplanned() or ended_by
        except (AdstreamError, PySparkException, Py4JJavaError):
            return ended_by

    def _unplanned(self) -> PlanAgain | None:
        """Ask the registry about waiting ids outside the plan. Returns None if there are none."""
        if self._pipeline.refused is None:
            return None
        planned = self._pipeline.writers.keys()
        waiting = topic_range(self._spark, self._settings.kafka, self._source.name, self._waiting())
        ids = other_ids(waiting, planned | self._refused, MOST_ASKED, largest=largest_new(planned))
        if not ids:
            return None
        new = self._schemas.registered(ids, planned)
        if unknown := set(ids) - new:
            self._refused |= unknown
            self._listener.notice(
                f"messages of {self._source.name} have {_named(unknown)}, which the registry does not know: they "
                "become dead letters, and the query starts again"
            )
        return NewWriterSchema(_named(new)) if new else PlanAgain("none of the new schema ids is registered")

    def _suspected(self, _source: Topic) -> Ranges:
        return self._waiting()

    def _waiting(self) -> dict[int, tuple[int, int]]:
        """Return the messages that no committed batch has counted."""
        name = self._source.name
        begins = kafka.begin_offsets(self._settings, name)
        counted = self._checkpoint.next_offsets(name) or self._checkpoint.first_offsets(name)
        ends = kafka.end_offsets(self._settings, name)
        return {partition: (counted.get(partition, begins[partition]), end) for partition, end in ends.items()}

    def _drain(self) -> None:
        """Let all rows that are in the topic reach the tables, for 30 s at most.

        The batches are committed. So the job has ended well, even if Kafka does not answer any more.
        """
        end = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < end:
            self._watch()
            with suppress(ServiceUnavailable, TopicNotFound):
                if self._updates.all_applied():
                    with suppress(UpdatesLost, AdstreamError):  # the next start goes back
                        self._updates.note_applied()
                    return
            time.sleep(_DRAIN_POLL_SECONDS)
        self._listener.notice(
            f"some rows may have reached {self._updates.topic} and not the tables; they follow when the job goes on"
        )


def _named(ids: set[int]) -> str:
    return f"schema id{'s' if len(ids) > 1 else ''} {', '.join(map(str, sorted(ids)))}"
