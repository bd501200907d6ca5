"""Read JSON objects by an Avro contract: the same fields under the same names.

A time is an ISO 8601 date, or date and time (UTC without an offset), in the form of common.text.moments. It may also be
a whole number of seconds since 1970 with ten digits. 20250221 is not a time, and neither are milliseconds. Decimals
beyond milliseconds are cut off, because the contract has none. A field of the wrong type is null; the decoder treats it
as an unreadable message if the contract requires a value. If the contract requires text, a number or an object counts
as its JSON text.

Three kinds of input are refused: bytes that are not UTF-8, an object followed by other characters, and an escape that
is half a character (`"\\ud800"`). Spark would put `?` or U+FFFD there, and different ids would become one.
"""

from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from common.contracts import Contract
from common.text.moments import EPOCH_SECONDS, TIME

_PLAIN: dict[str, T.DataType] = {
    "string": T.StringType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "boolean": T.BooleanType(),
}

_DATED = rf"^{TIME}\z"
_SECONDS = rf"^{EPOCH_SECONDS}\z"


def looks_like_json(value: Column) -> Column:
    """Return whether bytes start with `{`, as no message in the registry's wire format does."""
    return F.substring(value, 1, 1) == F.lit(b"{")


def from_json_text(value: Column, contract: Contract) -> Column:
    """Return the bytes as a struct with the contract's fields, in its order.

    Every field is null if the bytes are not JSON.
    """
    fields = {field["name"]: _branch(field["type"]) for field in contract.schema["fields"]}
    schema = T.StructType([T.StructField(name, _read_as(kind)) for name, kind in fields.items()])
    text = F.when(F.is_valid_utf8(value.cast("string")), value.cast("string"))
    text = F.when(~_has_half_a_character(text), text)
    # Spark stops where the object ends. Inside another object any further text is an error. A writer who knows the
    # wrapper could still close it and write on. Then the event counts.
    whole = T.StructType([T.StructField("event", schema), T.StructField("end", T.BooleanType())])
    options = {"mode": "PERMISSIVE", "allowSingleQuotes": "false"}
    read = F.from_json(F.concat(F.lit('{"event":'), text, F.lit(',"end":true}')), whole, options)
    read = F.when(read["end"], read["event"])
    return F.struct(*(_value(read[name], kind).alias(name) for name, kind in fields.items()))


def _has_half_a_character(text: Column) -> Column:
    """Return whether a \\u escape of one half of a surrogate pair has no second half."""
    high, low = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    # Without escaped backslashes, every remaining one begins an escape.
    escapes = F.replace(text, F.lit("\\\\"), F.lit(""))
    return escapes.rlike(rf"{high}(?!{low})|(?<!{high}){low}")


def _branch(avro_type: Any) -> Any:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    """Return the type behind `["null", type]`."""
    return next(each for each in avro_type if each != "null") if isinstance(avro_type, list) else avro_type


def _is_time(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, dict) and kind.get("logicalType") == "timestamp-millis"


def _read_as(kind: Any) -> T.DataType:  # noqa: ANN401
    if _is_time(kind):
        return T.StringType()
    name = kind["type"] if isinstance(kind, dict) else kind
    if name not in _PLAIN:
        raise ValueError(f"JSON has no form for the Avro type {kind}")
    return _PLAIN[name]


def _value(read: Column, kind: Any) -> Column:  # noqa: ANN401
    if not _is_time(kind):
        return read
    seconds = F.when(read.rlike(_SECONDS), F.timestamp_seconds(read.try_cast("bigint")))
    # Spark would combine a time without a date with the day of the replay. It also does not support a zone after
    # minutes without seconds.
    whole = F.regexp_replace(read, r"^(.{16})([Z+-])", "$1:00$2")
    dated = F.when(read.rlike(_DATED), F.timestamp_millis(F.unix_millis(F.try_to_timestamp(whole))))
    return F.coalesce(seconds, dated)
