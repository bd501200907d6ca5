"""Decode wire bytes into events, or give the reason why not. All in the JVM: no Python touches a message.

The 5-byte header of a message names its writer schema. `from_avro` does not know this header, and decoding with another
schema gives wrong values or none. So the plan has one branch for each schema id known when the plan was made. Each
branch reads with the pinned reader schema, by Avro's own resolution rules. If a job also takes JSON, a message that
starts with `{` is read as JSON by the same contract.
"""

import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from json import loads as parse_json
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from common.avro import wire
from common.avro.writer_schemas import Refusal, resolutions
from common.contracts import Contract
from common.reasons import (
    EMPTY,
    INCOMPATIBLE_SCHEMA,
    NOT_JSON,
    OTHER_WIRE_FORMAT,
    SHORT,
    TRAILING_BYTES,
    UNDECODABLE,
    UNKNOWN_SCHEMA_ID,
    WRONG_MAGIC_BYTE,
)
from streaming.events.foreign_formats import in_another_format, named_by_header, with_a_longer_id
from streaming.events.json_events import from_json_text, looks_like_json
from streaming.events.read_schemas import END, END_MARK, ReadSchemas, Writer


def decode(messages: DataFrame, writers: Mapping[int, Contract], reader: Contract, *, json: bool = False) -> DataFrame:
    """Add `event` and `problem` to messages of a source.

    In: `value` (binary). Out: the same columns, `event` and `problem`. `event` is a struct with the reader's fields,
    all null for an unreadable message. `problem` is null for a decoded message, and else one of common.reasons.
    `writers` maps each known schema id to the schema registered under it. A schema that the contract cannot read
    affects only its own messages (`sorted_out`). With `json`, JSON objects are accepted too; without writers, only JSON
    objects.

    An unreadable value with its schema id in a header gets its own reason, if the messages have `headers`. The stream
    reads no headers, because they would make each message dearer. The second read of a batch with dead letters has
    headers: only there the reason matters.
    """
    by_header = named_by_header() if "headers" in messages.columns else {}
    readable, refused = sorted_out(messages.sparkSession, writers, reader)
    schemas = ReadSchemas(readable, reader)
    # One step each. Otherwise Spark would repeat the header and the decode for each use of their result.
    return (
        messages.withColumn(_HEADER, F.substring("value", 1, wire.HEADER_BYTES))
        .withColumn(_READ, _read(schemas, reader, json=json))
        .withColumn("event", schemas.event(F.col(_READ)))
        .withColumn("problem", _problem(schemas, reader, json, refused, by_header))
        .drop(_HEADER, _READ)
    )


def sorted_out(
    spark: SparkSession, writers: Mapping[int, Contract], reader: Contract
) -> tuple[dict[int, Writer], dict[int, Refusal]]:
    """Split the schemas into two maps by id: readable ones, and unreadable ones with the reason."""
    readable, refused = {}, {}
    for schema_id, found in resolutions(writers, reader).items():
        text = writers[schema_id].text
        said = None if isinstance(found, Refusal) else _refused_by_java(spark, text)
        if isinstance(found, Refusal):
            refused[schema_id] = found
        elif said is not None:
            problem = f"Avro's Java library does not take the writer's schema: {said}"
            refused[schema_id] = Refusal(INCOMPATIBLE_SCHEMA, problem)
        else:
            readable[schema_id] = Writer(parse_json(text), found)
    return readable, refused


def _refused_by_java(spark: SparkSession, text: str) -> str | None:
    """Return the error of the parser that `from_avro` will use; None if it accepts the schema."""
    jvm: Any = spark._jvm
    try:
        jvm.org.apache.avro.Schema.Parser().setValidateDefaults(False).parse(text)
    except (Py4JJavaError, PySparkException) as error:  # PySpark has exceptions of its own for a few of Java's
        said = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else error
        return " ".join(str(said).split())[:_LONGEST_SAYING]
    return None


def _read(schemas: ReadSchemas, reader: Contract, *, json: bool) -> Column:
    payload = F.concat(F.substring("value", wire.HEADER_BYTES + 1, _LONGEST), F.lit(END_MARK))
    by_id = F.when(F.lit(False), _from_avro(payload, schemas.reader, schemas))
    if json:
        by_id = by_id.when(looks_like_json(F.col("value")), schemas.framed(from_json_text(F.col("value"), reader)))
    # Most messages have the newest schema, so the first comparison finds it.
    for schema_id, writer in sorted(schemas.by_id.items(), reverse=True):
        by_id = by_id.when(_written_with(schema_id), _from_avro(payload, writer, schemas))
    return by_id


def _from_avro(payload: Column, writer: str, schemas: ReadSchemas) -> Column:
    return from_avro(payload, writer, {"avroSchema": schemas.reader, "mode": "PERMISSIVE"})


def _problem(
    schemas: ReadSchemas, reader: Contract, json: bool, refused: Mapping[int, Refusal], by_header: Mapping[str, Column]
) -> Column:
    def unframed(reason: str) -> Column:
        """Return the reason for a value without the header of a known schema."""
        named = F.when(F.lit(False), F.lit(reason))
        for said, condition in by_header.items():
            named = named.when(condition, F.lit(said))
        return named.otherwise(F.lit(reason))

    size, whole = F.coalesce(F.length("value"), F.lit(0)), schemas.whole(F.col(_READ))
    unread = _unread(schemas, reader)
    # Only a message with a readable schema ends with the mark, so this proves all conditions below false.
    problem = F.when(whole & ~unread, F.lit(None)).when(size == 0, F.lit(EMPTY))
    if json:
        problem = problem.when(looks_like_json(F.col("value")), F.when(unread, F.lit(UNDECODABLE)))
    if json and not schemas.by_id and not refused:
        return problem.otherwise(F.lit(NOT_JSON))
    problem = (
        problem.when(size < wire.HEADER_BYTES, unframed(SHORT))
        .when(in_another_format(F.col("value")), unframed(OTHER_WIRE_FORMAT))
        .when(F.substring("value", 1, 1) != F.lit(bytes([wire.MAGIC_BYTE])), unframed(WRONG_MAGIC_BYTE))
    )
    for reason in sorted({each.reason for each in refused.values()}):
        theirs = [_written_with(schema_id) for schema_id, each in refused.items() if each.reason == reason]
        problem = problem.when(_any(theirs), F.lit(reason))
    known = _any(_written_with(schema_id) for schema_id in schemas.by_id)
    return (
        problem.when(~known & with_a_longer_id(F.col("value")), unframed(OTHER_WIRE_FORMAT))
        .when(~known, unframed(UNKNOWN_SCHEMA_ID))
        .when(unread, F.lit(UNDECODABLE))
        .when(~whole, F.lit(TRAILING_BYTES))
    )


_HEADER, _READ = "_header", "_read"

# Longer than any message: `substring` needs a length.
_LONGEST = 2**31 - 1
_LONGEST_SAYING = 200


def _written_with(schema_id: int) -> Column:
    return F.col(_HEADER) == F.lit(wire.header(schema_id))


def _unread(schemas: ReadSchemas, reader: Contract) -> Column:
    """Return whether a message was unreadable: mode PERMISSIVE then gives nulls, even where the contract has none."""
    required = [field["name"] for field in reader.schema["fields"] if "default" not in field]
    read, event = F.col(_READ), F.col("event")
    lost = [read[END].isNull(), *(event[name].isNull() for name in required), *schemas.corrupted(read, event)]
    return _any(lost)


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(operator.or_, conditions, F.lit(False))
