"""Wire bytes -> events, or the reason why not. In the JVM throughout: no Python touches a message.

A message says by its 5-byte header which schema wrote it. `from_avro` does not know that header, and decoding with any
schema but the writer's gives wrong values or none, so the plan holds one branch per schema id that the registry knew
when the plan was made; each branch reads with the pinned reader schema, by Avro's own resolution rules.

Where a job takes JSON as well, a message that starts with `{` is read as JSON by the same contract.
"""

import operator
from collections.abc import Collection, Iterable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from adstream import wire
from adstream.contracts import Contract
from adstream.reasons import (
    EMPTY,
    NOT_JSON,
    RECURSIVE_SCHEMA,
    SCHEMA_ID_IN_HEADER,
    SHORT,
    TRAILING_BYTES,
    UNDECODABLE,
    UNKNOWN_SCHEMA_ID,
    VALUE_SCHEMA_ID_HEADER,
    WRONG_MAGIC_BYTE,
)
from streaming.avro_length import encoded_length
from streaming.json_events import from_json_text, looks_like_json
from streaming.read_schemas import corrupted, narrowed, takes_any_stack, wide_reader, wide_writer


def decode(messages: DataFrame, writers: Mapping[int, Contract], reader: Contract, *, json: bool = False) -> DataFrame:
    """Add `event` and `problem` to messages of a source.

    In: `value` (binary). Out: the same columns and `event`, a struct with the reader's fields (all null where the
    message could not be read), and `problem`, null for a decoded message and else one of adstream.reasons.
    `writers` maps each known schema id to the schema registered under it; `json` takes JSON objects besides, or nothing
    else where there are no writers.

    Where the messages have `headers`, a value that is unreadable because its schema id travels in a header gets a
    reason of its own. The stream reads none, which would cost each message something; the second read of a batch with
    dead letters does, and only there the reason matters.
    """
    in_header = None
    if "headers" in messages.columns:
        in_header = F.exists("headers", lambda header: header["key"] == VALUE_SCHEMA_ID_HEADER)
    known, writers = writers, {key: each for key, each in writers.items() if not takes_any_stack(each.schema)}
    wide = wide_reader(reader, writers.values())
    problem = _problem(writers, reader, wide, json, known.keys() - writers.keys(), in_header)
    # Three steps, or Spark would repeat the decode wherever its result is used.
    return (
        messages.withColumn(_READ, _read(writers, reader, wide, json))
        .withColumn("event", narrowed(F.col(_READ), reader))
        .withColumn("problem", problem)
        .drop(_READ)
    )


def _read(writers: Mapping[int, Contract], reader: Contract, wide: Contract, json: bool) -> Column:
    payload = F.substring("value", wire.HEADER_BYTES + 1, _LONGEST)
    options = {"avroSchema": wide.text, "mode": "PERMISSIVE"}
    by_id = F.when(F.lit(False), from_avro(payload, wide.text, options))
    if json:
        event = from_json_text(F.col("value"), reader)
        own, every = _names(reader), _names(wide)
        as_wide = F.struct(*((event[name] if name in own else F.lit(None)).alias(name) for name in every))
        by_id = by_id.when(looks_like_json(F.col("value")), as_wide)
    for schema_id, writer in writers.items():
        by_id = by_id.when(_written_with(schema_id), from_avro(payload, wide_writer(writer), options))
    return by_id


def _problem(
    writers: Mapping[int, Contract],
    reader: Contract,
    wide: Contract,
    json: bool,
    refused: Collection[int],
    in_header: Column | None,
) -> Column:
    def unframed(reason: str) -> Column:
        """The reason for a value without the header of a known schema."""
        return F.lit(reason) if in_header is None else F.when(in_header, SCHEMA_ID_IN_HEADER).otherwise(reason)

    size = F.coalesce(F.length("value"), F.lit(0))
    problem = F.when(size == 0, F.lit(EMPTY))
    if json:
        unread = F.when(_unread(reader, wide), F.lit(UNDECODABLE))
        problem = problem.when(looks_like_json(F.col("value")), unread)
    if json and not writers and not refused:
        return problem.otherwise(F.lit(NOT_JSON))
    problem = (
        problem.when(size < wire.HEADER_BYTES, unframed(SHORT))
        .when(F.substring("value", 1, 1) != F.lit(bytes([wire.MAGIC_BYTE])), unframed(WRONG_MAGIC_BYTE))
        .when(_any(_written_with(schema_id) for schema_id in refused), F.lit(RECURSIVE_SCHEMA))
        .when(~_any(_written_with(schema_id) for schema_id in writers), unframed(UNKNOWN_SCHEMA_ID))
        .when(_unread(reader, wide), F.lit(UNDECODABLE))
    )
    for schema_id, writer in writers.items():
        length = encoded_length(writer.schema, F.col(_READ), set(_names(wide)))
        if length is not None:
            wrong = _written_with(schema_id) & (size != length + wire.HEADER_BYTES)
            problem = problem.when(wrong, F.lit(TRAILING_BYTES))
    return problem


_READ = "_read"

# Longer than any message: `substring` wants a length.
_LONGEST = 2**31 - 1


def _written_with(schema_id: int) -> Column:
    return F.substring("value", 1, wire.HEADER_BYTES) == F.lit(wire.header(schema_id))


def _unread(reader: Contract, wide: Contract) -> Column:
    """PERMISSIVE turns a message that cannot be read into nulls, also where the contract allows none."""
    required = [field["name"] for field in reader.schema["fields"] if "default" not in field]
    event = F.col("event")
    return _any(event[name].isNull() for name in required) | _any(corrupted(F.col(_READ), event, reader, wide))


def _names(contract: Contract) -> list[str]:
    return [field["name"] for field in contract.schema["fields"]]


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(operator.or_, conditions, F.lit(False))
