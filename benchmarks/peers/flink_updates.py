"""The work of ad-metrics in Flink SQL, with the output of real-time mode.

The output is the same keyed topic, with the same contract and framing: a row for each change of a window or a total.
Events are deduplicated. Flink's own window functions emit a window's row only when the window closes. So windows are
plain columns of a GROUP BY here: an event belongs to two, and the state of a window expires. Flink is set for latency:
no mini-batches, and its buffers wait no longer than the Kafka producer. `adstream apply` writes the rows to the tables.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from py4j.protocol import Py4JError

from benchmarks.peers.flink import ROCKSDB, Way, flink
from benchmarks.pipeline import JOB
from common import contracts
from common.bookkeeping import leases
from common.provision import UPDATES_CONTRACT
from common.settings import Settings

LINGER_MILLIS = 2
# The event's part of a row's version.
STARTS = 16
LATENCY = {
    "table.exec.mini-batch.enabled": "false",
    "execution.buffer-timeout.interval": f"{LINGER_MILLIS} ms",
    "table.exec.sink.upsert-materialize": "NONE",
}
_MONEY = "DECIMAL(25, 6)"
# The key's columns come twice, because key columns of a Kafka table must not be null. Flink sends no deletion before a
# row's next state only if the table's key is the GROUP BY key. So the key lacks `kind`, which distinguishes no rows
# here.
_ROWS = f"""
CREATE TEMPORARY TABLE {{{{name}}}} (
    {{columns}}, version BIGINT NOT NULL, newest_event TIMESTAMP(3) NOT NULL, kind STRING NOT NULL,
    ad_id STRING NOT NULL, window_start TIMESTAMP(3), window_end TIMESTAMP(3), total_clicks BIGINT NOT NULL,
    total_views BIGINT NOT NULL, total_cost {_MONEY} NOT NULL, avg_cost_per_view {_MONEY},
    PRIMARY KEY ({{keys}}) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka', 'topic' = '{{{{updates}}}}', 'properties.bootstrap.servers' = '{{{{brokers}}}}',
    'properties.linger.ms' = '{LINGER_MILLIS}', 'properties.batch.size' = '65536',
    'key.format' = 'json', 'key.json.timestamp-format.standard' = 'ISO-8601', 'key.fields-prefix' = 'key_',
    'value.fields-include' = 'EXCEPT_KEY', 'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = '{{{{registry}}}}', 'value.avro-confluent.schema' = '{{{{schema}}}}'
)"""
_AD = "key_ad_id STRING NOT NULL"
SINKS = {
    "total_updates": _ROWS.format(columns=_AD, keys="key_ad_id"),
    "window_updates": _ROWS.format(
        columns=f"{_AD}, key_window_start TIMESTAMP(3) NOT NULL", keys="key_ad_id, key_window_start"
    ),
}
# An event is in two windows, so it gives two rows. Flink computes `once` only once.
_FIRST = "TIMESTAMPADD(SECOND, -CAST(MOD(EXTRACT(SECOND FROM `timestamp`), 30) AS INT), FLOOR(`timestamp` TO SECOND))"
IN_WINDOWS = f"""
CREATE TEMPORARY VIEW in_windows AS
SELECT *, {_FIRST} AS window_start FROM once
UNION ALL
SELECT *, TIMESTAMPADD(SECOND, -30, {_FIRST}) AS window_start FROM once"""  # noqa: S608

_SUMS = f"""{{lease}} + {STARTS} * COUNT(*) AS version, MAX(`timestamp`) AS newest_event,
    SUM(CAST(clicks AS BIGINT)) AS total_clicks, SUM(CAST(`views` AS BIGINT)) AS total_views,
    SUM(CAST(cost AS {_MONEY})) AS total_cost"""
_TOTALED = f"""version, newest_event, '{{kind}}', ad_id, {{starts}}, {{ends}}, total_clicks, total_views,
    CAST(total_cost AS {_MONEY}),
    CASE WHEN total_views > 0 THEN CAST(total_cost / total_views AS {_MONEY}) END"""
_NOT_AT_ALL = "CAST(NULL AS TIMESTAMP(3))"
WINDOWS = f"""
INSERT INTO window_updates
SELECT ad_id, window_start,
    {_TOTALED.format(kind="window", starts="window_start", ends="TIMESTAMPADD(SECOND, 60, window_start)")}
FROM (SELECT window_start, ad_id, {_SUMS} FROM in_windows GROUP BY window_start, ad_id)"""  # noqa: S608
# Ids and windows expire (table.exec.state.ttl). Totals must not.
TOTALS = f"""
INSERT INTO total_updates
SELECT ad_id, {_TOTALED.format(kind="total", starts=_NOT_AT_ALL, ends=_NOT_AT_ALL)}
FROM (SELECT /*+ STATE_TTL('t' = '0 s') */ ad_id, {_SUMS} FROM once AS t GROUP BY ad_id)"""  # noqa: S608


def way(checkpoints: str) -> Way:
    """Return the configuration: state in RocksDB, as ad-metrics has it, and a checkpoint per `checkpoints`."""
    tuned = LATENCY | {"execution.checkpointing.interval": checkpoints}
    return Way(ROCKSDB, exactly_once=True, tuned=tuned, bounded=False)


def statements(lease: int) -> tuple[str, str]:
    """Return the statements of the job. Versions of rows count up from `lease`."""
    return WINDOWS.format(lease=lease), TOTALS.format(lease=lease)


def made(updates: str, brokers: str, registry: str) -> Iterator[str]:
    """Return the statements that make the tables which flink_sql does not make."""
    schema = json.dumps(json.loads(contracts.latest(UPDATES_CONTRACT).text)).replace("'", "''")
    for name, statement in SINKS.items():
        yield statement.format(name=name, updates=updates, brokers=brokers, registry=registry, schema=schema)
    yield IN_WINDOWS


@contextmanager
def running(settings: Settings, topic: str, updates: str, checkpoints: str) -> Iterator[int]:
    """Run the job in a JVM of its own until the block ends. Yield that JVM's process id.

    Raises PeerMissing.
    """
    lease = leases.take(settings.cassandra, JOB)
    with flink(settings, topic) as peer, peer.tables(way(checkpoints), topic) as tables:
        for statement in made(updates, settings.kafka.bootstrap_servers, settings.registry.url):
            tables.executeSql(statement)
        both = tables.createStatementSet()
        for statement in statements(lease):
            both.addInsertSql(statement)
        job = both.execute().getJobClient().get()
        try:
            yield peer.pid
        finally:
            with suppress(Py4JError):
                job.cancel().get()
