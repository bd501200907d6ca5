"""The dead-letter topic: every message that can neither be counted nor is late, with its place and the reason.

Value, key and headers are the original's, byte for byte. Further headers describe it: `adstream.reason`,
`adstream.topic`, `adstream.partition`, `adstream.offset`, `adstream.timestamp` (broker time, ISO 8601, UTC),
`adstream.schema_id` (if it has one) and `adstream.job`.

Contract: `publish` returns when Kafka has acknowledged every message, or raises; then the batch is not committed. A
replayed batch publishes again: topic, partition and offset identify the copies. adstream.dead_letters.letters reads
this topic.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from common import kafka
from common.avro import wire
from common.dead_letter_headers import JOB, OFFSET, PARTITION, REASON, SCHEMA_ID, TIMESTAMP, TOPIC
from common.settings import KafkaSettings

_BAD_LINES_TOLD = 3
_BAD_LINE_BYTES = 100


def publish(dead: DataFrame, settings: KafkaSettings, topic: str, job: str) -> None:
    """Send messages with their `outcome` (and `key`, `value`, `headers` and place) to the dead-letter `topic`."""
    options = producer_options(settings, topic)
    dead.select("key", "value", _headers(job).alias("headers")).write.format("kafka").options(**options).save()


def told(dead: DataFrame) -> list[str]:
    """Return a line for each of the first messages, for a source whose dead letters stay in place."""
    return [
        f"{row['topic']} line {row['offset']} not used: {row['outcome']}: "
        + bytes(row["value"])[:_BAD_LINE_BYTES].decode(errors="replace")
        for row in dead.limit(_BAD_LINES_TOLD).collect()
    ]


def producer_options(settings: KafkaSettings, topic: str) -> dict[str, str]:
    """Return options of Spark's Kafka sink: every message acknowledged by all replicas, every wait bounded."""
    limit = int(settings.timeout_seconds * 1_000)
    return {
        **kafka.spark_options(settings),
        "topic": topic,
        # The client's own limit would be 1 MB.
        "kafka.max.request.size": str(kafka.LARGEST_LETTER_BYTES),
        "kafka.buffer.memory": str(kafka.LARGEST_LETTER_BYTES),
        # One message per Kafka batch. If the broker finds a batch too large, the client splits it and sends the pieces.
        # Measured: a job committed although the topic's limit was below the size of every letter.
        "kafka.batch.size": "0",
        "kafka.acks": "all",
        "kafka.max.block.ms": str(limit),
        "kafka.request.timeout.ms": str(limit),
        "kafka.delivery.timeout.ms": str(3 * limit),
    }


def schema_id(value: Column) -> Column:
    """Return bytes 2 to 5 of a message as text: the schema id, if it has the registry's header. Null if too short."""
    return F.when(F.length(value) >= wire.HEADER_BYTES, F.conv(F.hex(F.substring(value, 2, 4)), 16, 10))


def _headers(job: str) -> Column:
    ours = {
        REASON: F.col("outcome"),
        TOPIC: F.col("topic"),
        PARTITION: F.col("partition").cast("string"),
        OFFSET: F.col("offset").cast("string"),
        TIMESTAMP: F.date_format("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSX"),
        SCHEMA_ID: schema_id(F.col("value")),
        JOB: F.lit(job),
    }
    known = F.array(*(_header(name, value) for name, value in ours.items()))
    kept = F.coalesce(F.col("headers"), F.array().cast("array<struct<key:string,value:binary>>"))
    return F.concat(kept, F.filter(known, lambda header: header["value"].isNotNull()))


def _header(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), F.encode(value, "UTF-8").alias("value"))
