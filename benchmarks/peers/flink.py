"""Runs Flink SQL in a JVM of its own: the work of ad-metrics from the same topic, into sinks that keep nothing.

All runs share the JVM, as all runs of Spark share theirs. The rate uses the job's own run time, minus the run time of
the same job over an empty topic. One statement set holds both queries, so a job reads and deduplicates the topic once.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JError

from benchmarks.peers import environment, flink_sql
from benchmarks.peers.drained import Drained, Load, PeerMissing
from common.settings import Settings
from stack import ivy
from stack.host import java
from streaming.recovery.causes import first_cause

# Packages that Flink's own start script opens on Java 17.
OPENED = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent")
MOST_SECONDS = 900
USUAL = {
    "parallelism.default": "2",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
}
EXACTLY_ONCE = {
    # Mini-batches make the queries with deduplication faster, and the others slower.
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "20000",
    "execution.checkpointing.interval": "3 s",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.incremental": "true",
    "execution.checkpointing.storage": "filesystem",
    # As long as ad-metrics keeps an id: its lateness and its slack.
    "table.exec.state.ttl": "21 min",
}
HEAP = {"state.backend.type": "hashmap"}
USUAL_ROCKSDB = {"state.backend.type": "rocksdb"}
# By default a local Flink gives RocksDB 128 MiB of memory and no Bloom filters. Then each new id costs a read from
# disk.
ROCKSDB = {
    **USUAL_ROCKSDB,
    "state.backend.rocksdb.use-bloom-filter": "true",
    "taskmanager.memory.managed.size": "1g",
}


@dataclass(frozen=True)
class Way:
    """One configuration of Flink.

    `store` places the state. With `exactly_once`, each event counts once, and Flink makes a checkpoint every three
    seconds. `tuned` overrides all other settings. A run that is not `bounded` waits for further messages.
    """

    store: dict[str, str]
    exactly_once: bool = False
    tuned: dict[str, str] = field(default_factory=dict)
    bounded: bool = True


@dataclass(frozen=True)
class Flink:
    """A JVM with Flink, its process id, and a topic without messages."""

    jvm: Any
    pid: int
    settings: Settings
    empty: str

    def drain(self, way: Way, load: Load) -> Drained:
        """Process the empty topic and then the topic of the load.

        The first run measures the cost of start and end. Raises PeerMissing.
        """
        nothing = self._run(way, self.empty)
        began = time.perf_counter()
        milliseconds = self._run(way, load.topic)
        return Drained(load.messages, max(milliseconds - nothing, 1) / 1_000, time.perf_counter() - began)

    def rows(self, way: Way, topic: str, query: str) -> list[str]:
        """Return the changelog of a query of flink_sql over a whole topic, as Flink prints it."""
        with self.tables(way, topic) as tables, _told():
            found = tables.executeSql(flink_sql.of(query, once=way.exactly_once)).collect()
            rows = []
            while found.hasNext():
                rows.append(str(found.next().toString()))
            return rows

    def _run(self, way: Way, topic: str) -> int:
        """Run both queries. Return the job's run time in milliseconds, as Flink counts it."""
        with self.tables(way, topic) as tables, _told():
            statements = tables.createStatementSet()
            for query, into in flink_sql.INSERTS.items():
                statements.addInsertSql(into + flink_sql.of(query, once=way.exactly_once))
            job = statements.execute().getJobClient().get()
            seconds = self.jvm.java.util.concurrent.TimeUnit.SECONDS
            try:
                return int(job.getJobExecutionResult().get(MOST_SECONDS, seconds).getNetRuntime())
            except Py4JError:
                with suppress(Py4JError):  # the job has failed, or takes too long and would disturb the others
                    job.cancel().get()
                raise

    @contextmanager
    def tables(self, way: Way, topic: str) -> Iterator[Any]:
        """Make a table environment with the topic as `events`; remove its checkpoints at the end."""
        # At the end, Flink may still be deleting its own files in this folder.
        with tempfile.TemporaryDirectory(prefix="adstream-flink-", ignore_cleanup_errors=True) as folder, _told():
            places = {"execution.checkpointing.dir": f"file://{folder}"}
            once = EXACTLY_ONCE | places if way.exactly_once else {}
            configuration = self.jvm.org.apache.flink.configuration.Configuration()
            for key, value in (USUAL | way.store | once | way.tuned).items():
                configuration.setString(key, value)
            settings = self.jvm.org.apache.flink.table.api.EnvironmentSettings
            made = settings.newInstance().inStreamingMode().withConfiguration(configuration).build()
            tables = self.jvm.org.apache.flink.table.api.TableEnvironment.create(made)
            brokers, registry = self.settings.kafka.bootstrap_servers, self.settings.registry.url
            for statement in flink_sql.tables(topic, brokers, registry, bounded=way.bounded):
                tables.executeSql(statement)
            yield tables


@contextmanager
def flink(settings: Settings, empty: str) -> Iterator[Flink]:
    """Start Flink in a JVM whose heap is as large as the driver's in the settings.

    Raises PeerMissing.
    """
    home = environment.site_packages(environment.python(settings, "flink")) / "pyflink"
    connectors = environment.jars(settings, "flink")
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "flink.log").open("w") as log:
        port, process = launch_gateway(
            jarpath=str(next((ivy.pyspark_folder() / "jars").glob("py4j-*.jar"))),
            classpath=f"{home}/lib/*:{connectors}/*",
            javaopts=[
                f"-Xmx{settings.spark.driver_memory}",
                *(f"--add-opens=java.base/java.{p}=ALL-UNNAMED" for p in OPENED),
            ],
            java_path=str(java.find_java(settings.stack.java_home).executable),
            die_on_exit=True,
            create_new_process_group=True,  # Ctrl-C reaches the JVM through this program only
            redirect_stdout=log,
            redirect_stderr=log,
            return_proc=True,
        )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
        try:
            yield Flink(gateway.jvm, process.pid, settings, empty)
        finally:
            gateway.close()
            process.kill()
            process.wait()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Py4JError as error:
        raise PeerMissing(f"Flink failed: {first_cause(error)}") from error
    except AttributeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # py4j's own clean-up fails after Ctrl-C
            raise KeyboardInterrupt from None
        raise
