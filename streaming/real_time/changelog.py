"""Encode a job's rows as messages of its updates topic: a keyed changelog, in Avro.

The key is the row's key as JSON text without nulls. So all states of a row are in one partition, in order. The value
has the registry's wire format. `version` is its first field, so a comparison of two states reads only a few bytes. It
is a number of microseconds, and the timestamp of the row's write in Cassandra (`Versions`).
"""

import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from common import contracts
from common.avro import wire
from common.contracts import Contract
from common.errors import ConfigError
from common.provision import updates_contract
from streaming.job import Job
from streaming.patterns.versions import NEWEST, VERSION

# Room for this many starts of a query between two events of a row.
STARTS = 16
_MILLIS: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
_PLAIN: dict[type[DataType], Any] = {
    StringType: "string",
    LongType: "long",
    IntegerType: "int",
    DoubleType: "double",
    FloatType: "float",
    BooleanType: "boolean",
    DateType: {"type": "int", "logicalType": "date"},
    TimestampType: _MILLIS,
}


@dataclass(frozen=True)
class Versions:
    """The parts of versions: `lease` (microseconds since 1970) + 16 for each event in the row + the `start` modulo 16.

    The lease is as old as the checkpoint, and its state counts the events. So the versions of a row only grow while a
    query runs. A restarted query counts the events since its last commit again: until the count passes its old value,
    its versions are smaller. If two starts count the same number of events in another order, the state of the start
    with the larger remainder stays. That is the later of two starts in a row, except for starts 16, 32 and so on: their
    remainder is 0. Once the last event is counted, both states are the same.

    Versions stay behind the clock as long as no row gets more than 62,500 events a second, from the lease on.
    """

    lease: int
    start: int

    def of(self, events: Column) -> Column:
        """Return the version of a row with this many events."""
        return events * F.lit(STARTS) + F.lit(self.lease + self.start % STARTS)


def contract_of(job: Job, topic: str, rows: StructType) -> Contract:
    """Return the contract of the job's updates topic: the committed one, or else one derived from its rows."""
    subject, name = f"{topic}-value", updates_contract(job.name)
    if name in contracts.names():
        committed = contracts.latest(name)
        return Contract(subject, committed.version, committed.text)
    return Contract(subject, 1, avro_text(job, rows))


def avro_text(job: Job, rows: StructType) -> str:
    """Return the Avro record of the job's rows: `version`, `newest_event`, then its columns in order.

    Raises ConfigError for a column of a type that has no place in a row.
    """
    titled = "".join(part.capitalize() for part in job.name.split("-"))
    others = [field for field in rows.fields if field.name not in (VERSION, NEWEST)]
    fields = [
        {"name": VERSION, "type": "long"},
        {"name": NEWEST, "type": _MILLIS},
        *({"name": field.name, **_typed(job, field)} for field in others),
    ]
    record = {"type": "record", "name": f"{titled}Update", "namespace": "adstream", "fields": fields}
    return json.dumps(record, separators=(",", ":"))


def messages(
    rows: DataFrame, key: tuple[str, ...], contract: Contract, schema_id: int, versions: Versions
) -> DataFrame:
    """Turn the job's rows into messages.

    In: rows with `version`, the events in the row, and `newest_event`. Out: `key` and `value` (binary).
    """
    columns = [F.col(name) for name in rows.columns if name != VERSION]
    record = F.struct(versions.of(F.col(VERSION)).alias(VERSION), *columns)
    return rows.select(
        F.to_json(F.struct(*key)).cast("binary").alias("key"),
        F.concat(F.lit(wire.header(schema_id)), to_avro(record, contract.text)).alias("value"),
    )


def _typed(job: Job, field: StructField) -> dict[str, Any]:
    kind = field.dataType
    if isinstance(kind, DecimalType):
        avro: Any = {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    elif type(kind) in _PLAIN:
        avro = _PLAIN[type(kind)]
    else:
        raise ConfigError(
            f"{job.name} does not run in real-time mode: its column {field.name} is a {kind.simpleString()}",
            "cast it to text, a number, a truth value, a date or a time, or leave --real-time out",
        )
    return {"type": ["null", avro], "default": None} if _may_be_null(job, field.name) else {"type": avro}


def _may_be_null(job: Job, name: str) -> bool:
    """Return whether a column may be null.

    Spark calls nearly every column nullable. But a row's key is complete, except for a column that only some kinds
    have.
    """
    return name not in job.key or (name == "window_start" and "kind" in job.key)
