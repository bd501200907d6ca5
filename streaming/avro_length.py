"""How many bytes a decoded record took on the wire, as a Spark expression.

Avro's decoder stops at the last field: bytes left over behind it are not an error, so a corrupted message can decode
as a good one. Comparing the length of the payload with the length that its values encode to finds it, without a second
decode. Sizes follow the Avro 1.12 specification, "Binary encoding".
"""

from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

# The bits of a value's magnitude. Fewer possible bits make a shorter expression, which Spark compiles for every job.
_INT, _LONG = 31, 63
_SIZE = 31  # of a string, in bytes


def encoded_length(writer: dict[str, Any], record: Column, fields: set[str]) -> Column | None:
    """Bytes that `record` took when it was written with the Avro schema `writer`.

    `fields` are the names that `record` has. None where the length cannot be told from the values: the writer has
    fields that the reader dropped, or types of unknown shape (arrays, maps, nested records).
    """
    parts = []
    for field in writer["fields"]:
        part = _length(field["type"], record[field["name"]]) if field["name"] in fields else None
        if part is None:
            return None
        parts.append(part)
    return sum(parts, F.lit(0))


def _length(avro_type: Any, value: Column) -> Column | None:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    if isinstance(avro_type, list):
        return _nullable_length(avro_type, value)
    logical = avro_type.get("logicalType") if isinstance(avro_type, dict) else None
    plain = avro_type["type"] if isinstance(avro_type, dict) else avro_type
    if logical == "timestamp-millis":
        return _varint_length(F.unix_millis(value), _LONG)
    if logical is not None:
        return None
    match plain:
        case "int":
            return _varint_length(value.cast("bigint"), _INT)
        case "long":
            return _varint_length(value, _LONG)
        case "string" | "bytes":
            size = F.octet_length(value).cast("bigint")
            return _varint_length(size, _SIZE) + size
        case "double":
            return F.lit(8)
        case "float":
            return F.lit(4)
        case "boolean":
            return F.lit(1)
        case _:
            return None


def _nullable_length(union: list[Any], value: Column) -> Column | None:
    """A union is its branch's index, one byte here, and the value; null itself takes none."""
    branches = [branch for branch in union if branch != "null"]
    if len(branches) != 1 or len(union) != 2:
        return None
    inner = _length(branches[0], value)
    return None if inner is None else F.lit(1) + F.when(value.isNull(), F.lit(0)).otherwise(inner)


def _varint_length(value: Column, bits: int) -> Column:
    """Bytes of a zig-zag varint, 7 bits a byte: a magnitude of up to 6, 13, 20, ... bits takes 1, 2, 3, ... bytes."""
    magnitude = value.bitwiseXOR(F.shiftright(value, 63))
    limits = range(6, bits, 7)
    length = F.when(magnitude < F.lit(1 << limits[0]), F.lit(1))
    for size, limit in enumerate(limits[1:], start=2):
        length = length.when(magnitude < F.lit(1 << limit), F.lit(size))
    return length.otherwise(F.lit(len(limits) + 1))
