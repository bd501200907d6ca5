"""Turn messages into a job's rows: decode, judge, count, compute.

This serves a stream, and a batch that is read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from common import contracts
from common.avro.writer_schemas import unreadable_line
from common.contracts import Contract
from common.reasons import CRASHES_THE_JOB
from streaming.events.decode import decode, sorted_out
from streaming.events.judge import judge
from streaming.events.unplanned import refuse_unplanned
from streaming.job import Job
from streaming.lateness.counts import pair
from streaming.micro_batch.counting import counted
from streaming.patterns.keyed_state import LATE_ROWS
from streaming.patterns.versions import NEWEST

_WHOLE = "whole_value"


@dataclass(frozen=True)
class Pipeline:
    """One job's plan for the writer schemas known now. `lookup` is the static table of jobs with a join.

    Messages at the places in `set_aside`, (partition, offset), are dead letters, and are not decoded.

    In `real_time` rows have a `version` and a `newest_event` (streaming.patterns.versions). A real-time batch cannot be
    undone once it is computed. `refused` are the schema ids that the registry does not know. A message with another id
    outside the plan ends the query if that may be a new schema's (streaming.events.unplanned).
    """

    job: Job
    writers: Mapping[int, Contract]
    json: bool
    lookup: DataFrame | None = None
    set_aside: frozenset[tuple[int, int]] = frozenset()
    real_time: bool = False
    refused: frozenset[int] | None = None

    def judged(self, messages: DataFrame) -> DataFrame:
        """Return messages with their `event` and `outcome` (streaming.events.judge)."""
        if not self.set_aside:
            return self._judged(messages)
        places = [f"{partition}:{offset}" for partition, offset in sorted(self.set_aside)]
        aside = F.concat_ws(":", "partition", "offset").isin(places)
        unread = messages.withColumn(_WHOLE, F.col("value")).withColumn("value", F.when(~aside, F.col("value")))
        outcome = F.when(aside, F.lit(CRASHES_THE_JOB)).otherwise(F.col("outcome"))
        judged = self._judged(unread).withColumn("outcome", outcome)
        return judged.withColumn("value", F.col(_WHOLE)).drop(_WHOLE)

    def _judged(self, messages: DataFrame) -> DataFrame:
        return judge(self.decoded(messages), self._reader, lateness=self.job.lateness)

    def decoded(self, messages: DataFrame) -> DataFrame:
        """Return messages with their `event` and `problem` (streaming.events.decode)."""
        return decode(messages, self.writers, self._reader, json=self.json)

    def counted(self, messages: DataFrame) -> DataFrame:
        """Return the events that count, as the pattern takes them. Observes `judged` (streaming.micro_batch.counting).

        If the job decides lateness, `judged` also has the late messages by window and delay
        (streaming.lateness.counts).
        """
        late_pair = None if self.job.lateness is None else pair(self.job)
        judged = self.judged(messages)
        if self.refused is not None:
            judged = judged.transform(refuse_unplanned, self.refused, self.writers.keys())
        events = counted(judged, late_pair=late_pair)
        return events.withColumn(NEWEST, F.col(self._reader.time_field)) if self.real_time else events

    def without_refusing(self) -> "Pipeline":
        """Return the same plan, but let messages of an unknown schema pass without ending the query."""
        return replace(self, refused=None)

    @property
    def _reader(self) -> Contract:
        return contracts.latest(self.job.contract)

    def unreadable(self, spark: SparkSession) -> dict[int, str]:
        """Return a line for each writer schema, by its id, without any readable message."""
        _, refused = sorted_out(spark, self.writers, self._reader)
        return {
            schema_id: unreadable_line(schema_id, self.writers[schema_id], why) for schema_id, why in refused.items()
        }

    def rows(self, messages: DataFrame) -> DataFrame:
        """Return the job's rows for its sinks. Observes `judged`, and `late` for patterns that report it.

        A pattern with state of its own returns `late_rows`: the number of a key's rows older than its newest one. This
        function counts these rows and removes them.
        """
        events = self.counted(messages)
        rows = self.job.compute(events) if self.lookup is None else self.job.compute(events, self.lookup)
        if LATE_ROWS not in rows.columns:
            return rows
        late = F.coalesce(F.sum(LATE_ROWS), F.lit(0)).alias("late")
        return rows.observe("late", late).where(F.col(LATE_ROWS).isNull()).drop(LATE_ROWS)
