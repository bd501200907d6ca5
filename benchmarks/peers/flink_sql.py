"""The work of ad-metrics in Flink SQL: it deduplicates the events, and sums them by window and by ad.

`events` are the messages, and `once` the first message of each id. In processing-time order the first row of an id is
final. So Flink keeps only the id, and the windows get no retractions. This is Flink's cheapest deduplication, and it
keeps the same event of an id as ad-metrics.
"""

from collections.abc import Iterator

SOURCE = """
CREATE TEMPORARY TABLE events (
    ad_id STRING NOT NULL, `timestamp` TIMESTAMP(3) NOT NULL, clicks INT NOT NULL, `views` INT NOT NULL,
    cost DOUBLE NOT NULL, event_id STRING, arrival AS PROCTIME(),
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '11' MINUTE
) WITH (
    'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
    'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '{bounded}',
    'properties.max.poll.records' = '20000', 'properties.max.partition.fetch.bytes' = '8388608',
    'properties.fetch.max.bytes' = '67108864',
    'format' = 'avro-confluent', 'avro-confluent.url' = '{registry}'
)"""
ONCE = """
CREATE TEMPORARY VIEW once AS
SELECT ad_id, `timestamp`, clicks, `views`, cost
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY arrival) AS number FROM events)
WHERE number = 1"""

_SUMS = "SUM(CAST(clicks AS BIGINT)) AS clicks, SUM(CAST(`views` AS BIGINT)) AS `views`, SUM(cost) AS cost"
WINDOWS = f"""
SELECT window_start, ad_id, {_SUMS}
FROM HOP(TABLE {{taken}}, DESCRIPTOR(`timestamp`), INTERVAL '30' SECOND, INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, ad_id"""  # noqa: S608
# Ids expire (table.exec.state.ttl). Totals must not.
TOTALS = f"SELECT /*+ STATE_TTL('t' = '0 s') */ ad_id, {_SUMS} FROM {{taken}} AS t GROUP BY ad_id"  # noqa: S608

_SUMMED = "ad_id STRING, clicks BIGINT, `views` BIGINT, cost DOUBLE"
_SINKS = (
    f"CREATE TEMPORARY TABLE no_windows (window_start TIMESTAMP(3), {_SUMMED}) WITH ('connector' = 'blackhole')",
    f"CREATE TEMPORARY TABLE no_totals ({_SUMMED}) WITH ('connector' = 'blackhole')",
)
INSERTS = {WINDOWS: "INSERT INTO no_windows ", TOTALS: "INSERT INTO no_totals "}


def of(query: str, *, once: bool) -> str:
    """Return the query over deduplicated events, or over all events."""
    return query.format(taken="once" if once else "events")


def tables(topic: str, brokers: str, registry: str, *, bounded: bool) -> Iterator[str]:
    """Return the statements that make the tables.

    A source that is not `bounded` goes on after the topic's end.
    """
    until = "latest-offset" if bounded else "unbounded"
    yield SOURCE.format(topic=topic, brokers=brokers, registry=registry, bounded=until)
    yield ONCE
    yield from _SINKS
