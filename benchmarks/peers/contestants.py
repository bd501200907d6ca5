"""The contestants of benchmarks.throughput: the work of each, and the code that runs it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from benchmarks.peers import flink_check, quix, tutorial
from benchmarks.peers.drained import NO, Drained, Load, PeerMissing, Work
from benchmarks.peers.flink import HEAP, ROCKSDB, USUAL_ROCKSDB, Flink, Way, flink
from benchmarks.pipeline import JOB, timed
from common.settings import Settings
from streaming.jobs import find
from streaming.micro_batch.progress import BatchReport
from streaming.recovery.causes import first_cause
from streaming.spark.session import STATE_STORES, spark_session

SHIPPED, OFF = "ad-metrics, as it is", "ad-metrics, dedupe off"
FLINK_HEAP, FLINK_ROCKSDB = "Flink SQL, state on the heap", "Flink SQL, state in RocksDB"
FLINK_USUAL = "Flink SQL, RocksDB as it comes"
FLINK_OFF = "Flink SQL, windows and totals alone"
QUIX = "Quix Streams, windows alone"


@dataclass
class Running:
    """Resources that the runs share.

    Spark and Flink start at the first run that needs them. They end with `until`.
    """

    settings: Settings
    empty: str
    checked: str
    quix_seconds: float
    until: ExitStack

    @cached_property
    def spark(self) -> SparkSession:
        return self.until.enter_context(spark_session(self.settings, "benchmark"))

    @cached_property
    def _flink(self) -> Flink | PeerMissing:
        try:
            return self.until.enter_context(flink(self.settings, self.empty))
        except PeerMissing as why:
            return why

    @property
    def flink(self) -> Flink:
        """Flink's JVM. Raises PeerMissing at every call if Flink is not available."""
        if isinstance(self._flink, PeerMissing):
            raise self._flink
        return self._flink


@dataclass(frozen=True)
class Contestant:
    """One way to drain a topic.

    `drain` runs it, and `check` compares its sums. Both raise PeerMissing. A `slow` contestant takes fewer messages.
    """

    name: str
    work: Work
    drain: Callable[[Running, Load], Drained] = field(repr=False)
    check: Callable[[Running], None] = field(default=lambda _running: None, repr=False)
    ours: bool = False
    slow: bool = False
    fetched: bool = False


def _ours(name: str, store: str, *, dedupe: bool) -> Contestant:
    """Return a contestant of ours. Its seconds are the batches with data, including writes and commits."""

    def drain(running: Running, load: Load) -> Drained:
        settings = running.settings
        settings.spark = settings.spark.model_copy(update={"state_store": store})
        _state_in(running.spark, store)
        reports: list[BatchReport] = []
        job = find(JOB).with_parameters(dedupe=dedupe)
        whole = timed(running.spark, settings, load.topic, job=job, batch=reports.append)
        taken = [report for report in reports if report.events]
        return Drained(sum(each.events for each in taken), sum(each.seconds or 0.0 for each in taken), whole)

    work = Work(dedupe="21 min" if dedupe else NO, checkpoints="each batch", cassandra="every write awaited")
    return Contestant(name, work, drain, ours=True)


def _tutorials(name: str, run: Callable[[SparkSession, Settings, str], Drained]) -> Contestant:
    def drain(running: Running, load: Load) -> Drained:
        _state_in(running.spark, "memory")
        try:
            return run(running.spark, running.settings, load.topic)
        except PySparkException as error:
            raise PeerMissing(f"it failed: {first_cause(error)}") from error

    work = Work(totals="wrong", checkpoints="each batch", cassandra="row by row")
    return Contestant(name, work, drain, slow=True)


def _on_flink(name: str, way: Way, *, slow: bool = False) -> Contestant:
    work = Work(dedupe="21 min", checkpoints="3 s") if way.exactly_once else Work()
    return Contestant(
        name,
        work,
        lambda running, load: running.flink.drain(way, load),
        lambda running: flink_check.check(running.flink, way, running.settings, running.checked),
        slow=slow,
        fetched=True,
    )


def _state_in(spark: SparkSession, store: str) -> None:
    spark.conf.set("spark.sql.streaming.stateStore.providerClass", STATE_STORES[store])


CONTESTANTS = (
    _ours(SHIPPED, "rocksdb", dedupe=True),
    _ours("ad-metrics, in memory", "memory", dedupe=True),
    _on_flink(FLINK_HEAP, Way(HEAP, exactly_once=True)),
    _on_flink(FLINK_ROCKSDB, Way(ROCKSDB, exactly_once=True)),
    _on_flink(FLINK_USUAL, Way(USUAL_ROCKSDB, exactly_once=True), slow=True),
    _ours(OFF, "rocksdb", dedupe=False),
    _ours("ad-metrics, dedupe off, in memory", "memory", dedupe=False),
    _on_flink(FLINK_OFF, Way(HEAP)),
    _tutorials("tutorial's, one query, from_avro", tutorial.one_query),
    _tutorials("tutorial's, two queries, Python UDF", tutorial.two_queries),
    Contestant(
        QUIX,
        Work(totals=NO, checkpoints="5 s"),
        lambda running, load: quix.drain(running.settings, load, running.quix_seconds),
        fetched=True,
    ),
)
