"""The state store that spreads the removal of expired entries over batches: its jobs, and its removals."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyspark
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from common import contracts
from common.settings import Settings, SparkSettings
from streaming.jobs import JOBS
from streaming.lookup import lookup_table
from streaming.micro_batch.pipeline import Pipeline
from streaming.patterns.ad_metrics import ad_metrics
from streaming.spark import state_store, state_store_jar
from streaming.spark.state_store import INCREMENTAL, JAR, MADE_FOR, MEMORY, PROVIDER, ROCKSDB, suited
from tests.patterns.ad_events import NOW, SCHEMA, Event
from tests.patterns.pattern_runs import write_batch

pytestmark = pytest.mark.locked_spark(f"the store is made for Spark {MADE_FOR}, and no other gets it")

# The store never checks fewer entries at a time (IncrementalCleanupProvider.AT_LEAST). There are two partitions.
PART, PARTITIONS = 10_000, 2
NO_DATA = "spark.sql.streaming.noDataMicroBatches.enabled"
MANY = 60_000


@pytest.fixture(autouse=True)
def _own_provider(spark: SparkSession) -> Iterator[None]:
    """Only batches with data run, as in a job in update mode. The session gets its settings back afterwards."""
    before = {name: spark.conf.get(name) or "" for name in (PROVIDER, NO_DATA)}
    spark.conf.set(NO_DATA, False)
    yield
    for name, value in before.items():
        spark.conf.set(name, value)


def rows_of(spark: SparkSession, name: str, mode: str) -> DataFrame:
    """Return the rows of a catalogued job over a stream that has no messages."""
    job = JOBS[name].in_mode(mode)
    lookup = lookup_table(spark, job.lookup.path, job.lookup.columns) if job.lookup else None
    messages = spark.readStream.format("rate").load().select(
        F.lit(None).cast("binary").alias("key"), F.lit(b"").alias("value"), F.lit("topic").alias("topic"),
        F.lit(0).alias("partition"), F.col("value").alias("offset"), "timestamp",
    )  # fmt: skip
    return Pipeline(job, {1: contracts.latest(job.contract)}, job.json, lookup).rows(messages)


@pytest.mark.parametrize("name", JOBS)
def test_which_jobs_of_the_catalogue_get_it(spark: SparkSession, name: str) -> None:
    for mode in JOBS[name].modes:
        # In append mode and with timers, the results come from the scan for expired entries. So these need Spark's own
        # store.
        wanted = INCREMENTAL if JOBS[name].state is None and mode == "update" else ROCKSDB
        assert suited(rows_of(spark, name, mode), mode, SparkSettings()) == wanted, mode


def test_a_step_that_is_not_known_to_only_remove_keeps_sparks_own(spark: SparkSession) -> None:
    events = spark.readStream.format("rate").load().withWatermark("timestamp", "1 minute")

    def timers(_key: Any, rows: Iterable[pd.DataFrame], _state: Any) -> Iterable[pd.DataFrame]:
        return rows

    by_hand = events.groupBy("value").applyInPandasWithState(
        timers, "value long", "count long", "update", "EventTimeTimeout"
    )
    other = events.select(F.col("value").alias("other"), F.col("timestamp").alias("then"))
    joined = events.join(other, F.expr("value = other and then between timestamp and timestamp + interval 1 minute"))
    sessions = events.groupBy(F.session_window("timestamp", "1 minute"), "value").count()
    static = spark.range(3).withColumnRenamed("id", "value")
    for rows, mode in ((by_hand, "update"), (joined, "append"), (sessions, "append")):
        assert suited(rows, mode, SparkSettings()) == ROCKSDB
    for rows in (by_hand, joined):
        assert suited(rows, "update", SparkSettings()) == ROCKSDB
    assert suited(events.join(static, "value").groupBy("value").count(), "update", SparkSettings()) == INCREMENTAL
    with pytest.raises(
        pyspark.errors.AnalysisException, match="session window"
    ):  # Spark itself refuses session windows in update mode
        sessions.writeStream.outputMode("update").format("noop").start()


def test_the_settings_have_the_last_word(spark: SparkSession) -> None:
    rows = rows_of(spark, "ad-metrics", "update")
    assert suited(rows, "update", SparkSettings(properties={PROVIDER: ROCKSDB})) == ROCKSDB
    assert suited(rows, "update", SparkSettings(state_store="memory")) == MEMORY


class Stream:
    """A stream of ad events over files. It stops after the last file, and goes on when it runs again."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark, self._folder, self._fed = spark, folder, 0
        self.checkpoint = folder / "checkpoint"

    def run(self, provider: str, *batches: Sequence[Event], dedupe: bool = True) -> list[Row]:
        """Run these batches. Return the rows that they emit."""
        for batch in batches:
            write_batch(self._folder / "source", self._fed, batch, SCHEMA)
            self._fed += 1
        self._spark.conf.set(PROVIDER, provider)
        emitted: list[Row] = []
        files = self._spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1)
        query = (
            ad_metrics(files.parquet(str(self._folder / "source")), dedupe=dedupe)
            .writeStream.outputMode("update")
            .option("checkpointLocation", str(self.checkpoint))
            .trigger(availableNow=True)
            .foreachBatch(lambda rows, _batch: emitted.extend(rows.collect()))
            .start()
        )
        query.awaitTermination()
        operators = [operator for each in query.recentProgress for operator in each["stateOperators"]]
        self.dropped = sum(operator["numRowsDroppedByWatermark"] for operator in operators)
        self.looked_up = [
            operator["customMetrics"]["rocksdbGetCount"]
            for operator in operators
            if operator["operatorName"] == "dedupeWithinWatermark"
        ]
        return emitted

    def named(self, batch: int) -> str:
        """Return the store that the checkpoint names for a batch."""
        metadata = (self.checkpoint / "offsets" / str(batch)).read_text().splitlines()[1]
        return str(json.loads(metadata)["conf"][PROVIDER])

    def kept(self, operator: int, batch: int) -> list[Row]:
        """Return the keys in an operator's state after a batch. Operator 0 has the sums, operator 1 the ids."""
        reader = self._spark.read.format("statestore").option("operatorId", operator).option("batchId", batch)
        return [row["key"] for row in reader.load(str(self.checkpoint)).select("key").collect()]


def at(number: int, event_id: str | None = None, ad: str = "ad", **after: float) -> Event:
    return Event(ad, NOW + timedelta(**after), 1, 1, 0.1, event_id or f"id-{number}", str(number))


def test_each_batch_removes_a_part_of_the_ids_that_have_expired(spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(spark, tmp_path)
    stream.run(INCREMENTAL, [at(n) for n in range(MANY)], *([at(MANY + n, hours=2)] for n in range(5)))
    left = [len(stream.kept(1, batch)) for batch in range(6)]
    # The second batch raises the watermark, and the third batch uses it.
    assert left[:2] == [MANY, MANY + 1]
    removed = [before - after + 1 for before, after in pairwise(left[1:])]
    assert removed[0] == PARTITIONS * PART
    assert all(0 < each <= PARTITIONS * PART for each in removed), removed
    assert left[-1] == 5


def test_a_batch_that_comes_late_looks_through_as_much_as_the_time_asks_for(
    spark: SparkSession, tmp_path: Path
) -> None:
    system: Any = spark._jvm.java.lang.System  # type: ignore[union-attr]
    stream = Stream(spark, tmp_path)
    system.setProperty("adstream.cleanup.seconds", "0")  # so every batch checks all entries
    try:
        stream.run(INCREMENTAL, [at(n) for n in range(MANY)], *([at(MANY + n, hours=2)] for n in range(2)))
    finally:
        system.clearProperty("adstream.cleanup.seconds")
    assert [len(stream.kept(1, batch)) for batch in range(3)] == [MANY, MANY + 1, 2]


def test_the_first_batch_after_a_start_looks_through_all(spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(spark, tmp_path)
    stream.run(INCREMENTAL, [at(n) for n in range(MANY)], [at(MANY, hours=2)])
    assert len(stream.kept(1, 1)) == MANY + 1
    stream.run(INCREMENTAL, [at(MANY + 1, hours=2)])
    assert len(stream.kept(1, 2)) == 2


def test_an_id_that_comes_again_later_counts_once_it_has_left_and_not_before(
    spark: SparkSession, tmp_path: Path
) -> None:
    stream = Stream(spark, tmp_path)
    stream.run(INCREMENTAL, [at(n) for n in range(MANY)], [at(MANY, hours=2)], [at(MANY + 1, hours=2)])
    waiting = {row["identity"].removeprefix("=") for row in stream.kept(1, 2)}
    both = [[f"id-{n}" for n in range(MANY) if (f"id-{n}" in waiting) is there][:5] for there in (True, False)]
    again = [at(MANY + 2 + nth, event_id, hours=2) for nth, event_id in enumerate([*both[0], *both[1]])]
    emitted = stream.run(INCREMENTAL, again)
    assert [row["total_clicks"] for row in emitted if row["kind"] == "total"] == [MANY + 2 + 5]


def test_a_small_state_is_looked_through_in_every_batch(spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(spark, tmp_path)
    hours = [[at(2 * hour + n, hours=hour) for n in range(2)] for hour in range(6)]
    stream.run(INCREMENTAL, *hours)
    # The previous batch's ids remain, because the watermark is one batch behind.
    assert [len(stream.kept(1, batch)) for batch in range(1, 6)] == [4] * 5


def test_rows_are_those_of_sparks_own_store_while_expired_windows_wait(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # With many ads, expired windows stay for some batches. Later batches bring late rows for them, repetitions, and new
    # rows.
    many = [at(n, ad=f"ad-{n}") for n in range(MANY // 2)]
    batches = [many, [at(MANY, hours=2)]]
    for batch in range(5):
        late = [at(rng.randrange(MANY), f"late-{batch}-{n}", f"ad-{rng.randrange(MANY // 2)}") for n in range(50)]
        again = [at(MANY, hours=2)] * 3
        new = [at(MANY + 1 + 10 * batch + n, ad=f"ad-{n}", hours=2, seconds=batch) for n in range(10)]
        batches.append(rng.sample([*late, *again, *new], 63))
    emitted, dropped = {}, {}
    for provider in (ROCKSDB, INCREMENTAL):
        stream = Stream(spark, tmp_path / provider)
        emitted[provider] = Counter(stream.run(provider, *batches))
        dropped[provider] = stream.dropped
        waiting = len(stream.kept(0, 2))
        assert (waiting > MANY) == (provider == INCREMENTAL), waiting
    assert emitted[INCREMENTAL] == emitted[ROCKSDB]
    # Batch 1 raises the watermark. Batch 2 evicts by it, and rows are dropped from batch 3 on.
    assert dropped[INCREMENTAL] == dropped[ROCKSDB] == 4 * 50


@pytest.mark.parametrize("dedupe", [True, False])
@pytest.mark.parametrize(("first", "then"), [(ROCKSDB, INCREMENTAL), (INCREMENTAL, ROCKSDB)])
def test_a_checkpoint_of_the_other_store_goes_on(
    spark: SparkSession, tmp_path: Path, first: str, then: str, dedupe: bool
) -> None:
    batches = [[at(10 * batch + n, minutes=batch) for n in range(10)] for batch in range(6)]
    repeated = [batches[5][0], *batches[3]] if dedupe else []
    straight = Stream(spark, tmp_path / "straight").run(ROCKSDB, *batches, repeated, dedupe=dedupe)
    changed = Stream(spark, tmp_path / "changed")
    emitted = changed.run(first, *batches[:3], dedupe=dedupe)
    emitted += changed.run(then, *batches[3:5], dedupe=dedupe)
    emitted += changed.run(then, batches[5], repeated, dedupe=dedupe)
    assert Counter(emitted) == Counter(straight)
    # Spark keeps the store class that made the checkpoint.
    assert {changed.named(batch) for batch in range(6)} == {first}


def test_a_batch_that_failed_comes_again(spark: SparkSession, tmp_path: Path) -> None:
    stream = Stream(spark, tmp_path)
    stream.run(INCREMENTAL, [at(n) for n in range(MANY)], [at(MANY, hours=2)], [at(MANY + 1, hours=2)])
    (stream.checkpoint / "commits" / "2").unlink()
    (stream.checkpoint / "commits" / ".2.crc").unlink(missing_ok=True)
    emitted = stream.run(INCREMENTAL, [at(MANY + 2, hours=2)])
    assert max(row["total_clicks"] for row in emitted if row["kind"] == "total") == MANY + 3


def test_ids_that_come_for_the_first_time_are_not_looked_up(spark: SparkSession, tmp_path: Path) -> None:
    batches = [[at(MANY * batch + n, minutes=batch) for n in range(MANY)] for batch in range(3)]
    batches.append([*batches[0][:100], *(at(4 * MANY + n, minutes=3) for n in range(PART))])
    looked_up = {}
    for provider in (ROCKSDB, INCREMENTAL):
        stream = Stream(spark, tmp_path / provider)
        stream.run(provider, *batches)
        looked_up[provider] = stream.looked_up
    assert looked_up[ROCKSDB] == [MANY, MANY, MANY, 100 + PART]
    assert all(each < MANY / 20 for each in looked_up[INCREMENTAL][:3]), looked_up
    assert 100 <= looked_up[INCREMENTAL][3] < 100 + PART / 20


def test_no_repetition_is_missed_whatever_comes_and_goes(spark: SparkSession, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    def event(number: int, minutes: float = 0) -> Event:
        """Return an event with a random id, which sorts between the store's existing ids instead of behind them."""
        return at(number, f"{rng.getrandbits(64):016x}", minutes=minutes)

    seen = [event(n) for n in range(MANY)]
    batches, new = [list(seen)], []
    for batch in range(1, 14):
        # The store checks all entries within three or four batches. The watermark follows, and the first ids expire
        # halfway.
        fresh = [event(batch * MANY + n, 3 * batch + rng.random()) for n in range(rng.randrange(1, PART // 2))]
        again = rng.sample(seen, rng.randrange(PART // 2, PART))
        batches.append(rng.sample([*fresh, *again], len(fresh) + len(again)))
        seen += fresh
        new.append(len(fresh))
    stream = Stream(spark, tmp_path)
    emitted = stream.run(INCREMENTAL, *batches[:11])
    emitted += stream.run(INCREMENTAL, *batches[11:])  # a restart: the store knows no key yet
    totals = sorted(row["total_clicks"] for row in emitted if row["kind"] == "total")
    assert totals[-1] == MANY + sum(new)


def test_the_jar_is_what_the_source_compiles_to(tmp_path: Path) -> None:
    made = tmp_path / "made.jar"
    state_store_jar.make(made)
    assert made.read_bytes() == JAR.read_bytes(), "make state-store compiles it anew"


def test_it_is_made_for_the_spark_that_is_locked() -> None:
    assert pyspark.__version__ == MADE_FOR
    sources = "".join(source.read_text(encoding="utf-8") for source in state_store_jar.SOURCES)
    assert f'SPARK = "{MADE_FOR}"' in sources
    assert state_store.fits_spark()
    assert Settings().spark.state_store == "rocksdb"
