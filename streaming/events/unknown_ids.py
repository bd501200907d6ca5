"""The schema ids of messages, read from their headers without decoding anything."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from common.avro import wire

_LARGEST = 2 ** (8 * (wire.HEADER_BYTES - 1)) - 1


def schema_id(value: Column) -> Column:
    """Return bytes 2 to 5 of a value as a number (bigint): the schema id, if the value has the registry's header."""
    return F.conv(F.hex(F.substring(value, 2, wire.HEADER_BYTES - 1)), 16, 10).cast("bigint")


def other_ids(messages: DataFrame, known: Collection[int], most: int, *, largest: int = _LARGEST) -> list[int]:
    """Return the ids of messages, up to the `largest`, that are not `known`.

    The most frequent come first, then the smallest, at most so many as `most`.
    """
    value = F.col("value")
    framed = (F.length(value) >= wire.HEADER_BYTES) & (F.substring(value, 1, 1) == F.lit(bytes([wire.MAGIC_BYTE])))
    ids = messages.where(framed).select(schema_id(value).alias("id")).where(~F.col("id").isin(list(known)))
    found = ids.where(F.col("id") <= largest).groupBy("id").count().orderBy(F.desc("count"), "id").limit(most)
    return [int(row["id"]) for row in found.collect()]
