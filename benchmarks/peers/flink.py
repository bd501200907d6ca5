"""Flink SQL in a JVM of its own: the same sliding windows from the same topic, into a sink that keeps nothing.

All runs share the JVM, as those of Spark do. The rate is of the job's own run time less that of the same job over an
empty topic.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JError

from adstream.settings import Settings
from benchmarks.peers import environment
from benchmarks.peers.drained import Drained, PeerMissing
from stack import ivy, java
from streaming.checkpoint import first_cause

# What its own start script opens on Java 17.
OPENED = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent")
CONFIGURATION = {
    "parallelism.default": "2",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
}
SOURCE = """
CREATE TEMPORARY TABLE {table} (
    ad_id STRING NOT NULL, `timestamp` TIMESTAMP(3) NOT NULL, clicks INT NOT NULL, `views` INT NOT NULL,
    cost DOUBLE NOT NULL, event_id STRING,
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '11' MINUTE
) WITH (
    'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'properties.max.poll.records' = '20000', 'properties.max.partition.fetch.bytes' = '8388608',
    'properties.fetch.max.bytes' = '67108864',
    'format' = 'avro-confluent', 'avro-confluent.url' = '{registry}'
)"""
SINK = """
CREATE TEMPORARY TABLE nowhere (
    window_start TIMESTAMP(3), window_end TIMESTAMP(3), ad_id STRING, clicks BIGINT, `views` BIGINT, cost DOUBLE
) WITH ('connector' = 'blackhole')"""
QUERY = """
INSERT INTO nowhere
SELECT window_start, window_end, ad_id, SUM(CAST(clicks AS BIGINT)), SUM(CAST(`views` AS BIGINT)), SUM(cost)
FROM HOP(TABLE {table}, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, ad_id"""


@dataclass(frozen=True)
class Flink:
    """A JVM with a table environment."""

    tables: Any

    def drain(self, full: str, empty: str, messages: int) -> Drained:
        """Take the table `full`, and `empty` just before: what it costs to start and end. Raises PeerMissing."""
        nothing = self._run(empty)
        began = time.perf_counter()
        milliseconds = self._run(full)
        return Drained(messages, max(milliseconds - nothing, 1) / 1_000, time.perf_counter() - began)

    def table(self, settings: Settings, name: str, topic: str) -> None:
        self.tables.executeSql(
            SOURCE.format(
                table=name, topic=topic, brokers=settings.kafka.bootstrap_servers, registry=settings.registry.url
            )
        )

    def _run(self, table: str) -> int:
        try:
            client = self.tables.executeSql(QUERY.format(table=table)).getJobClient().get()
            return int(client.getJobExecutionResult().get().getNetRuntime())
        except Py4JError as error:
            raise PeerMissing(f"Flink failed: {first_cause(error)}") from error


@contextmanager
def flink(settings: Settings, full: str, empty: str) -> Iterator[Flink]:
    """Flink with the tables `full_topic` and `empty_topic`. Raises PeerMissing."""
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
            redirect_stdout=log,
            redirect_stderr=log,
            return_proc=True,
        )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
        try:
            made = Flink(_tables(gateway.jvm))
            made.table(settings, "full_topic", full)
            made.table(settings, "empty_topic", empty)
            yield made
        except Py4JError as error:
            raise PeerMissing(f"Flink failed: {first_cause(error)}") from error
        finally:
            gateway.close()
            process.kill()
            process.wait()


def _tables(jvm: Any) -> Any:  # noqa: ANN401
    configuration = jvm.org.apache.flink.configuration.Configuration()
    for key, value in CONFIGURATION.items():
        configuration.setString(key, value)
    settings = jvm.org.apache.flink.table.api.EnvironmentSettings
    made = settings.newInstance().inStreamingMode().withConfiguration(configuration).build()
    tables = jvm.org.apache.flink.table.api.TableEnvironment.create(made)
    tables.executeSql(SINK)
    return tables
