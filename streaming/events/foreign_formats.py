"""Other registries' wire formats, as conditions for Spark. The same in plain Python: common.avro.wire_formats."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from common.avro.wire_formats import (
    APICURIO_HEADERS,
    AZURE_CONTENT,
    AZURE_HEADER,
    AZURE_ID_CHARS,
    AZURE_MARK,
    GLUE,
    GLUE_BYTES,
    GLUE_COMPRESSIONS,
    LONG_ID,
    LONG_ID_BYTES,
    SINGLE_OBJECT,
    SINGLE_OBJECT_BYTES,
)
from common.reasons import OTHER_WIRE_FORMAT, SCHEMA_ID_IN_HEADER, VALUE_SCHEMA_ID_HEADER


def named_by_header() -> dict[str, Column]:
    """Return reason -> whether one of the `headers` names the schema of the value."""

    def of_others(header: Column) -> Column:
        azure = (F.lower(header["key"]) == AZURE_HEADER) & F.startswith(header["value"], F.lit(AZURE_CONTENT))
        return azure | F.startswith(header["key"], F.lit(APICURIO_HEADERS))

    return {
        SCHEMA_ID_IN_HEADER: F.exists("headers", lambda header: header["key"] == VALUE_SCHEMA_ID_HEADER),
        OTHER_WIRE_FORMAT: F.exists("headers", lambda header: F.coalesce(of_others(header), F.lit(False))),
    }


def in_another_format(value: Column) -> Column:
    """Return whether a value begins like another format, instead of with the registry's magic byte."""
    first = F.substring(value, 1, 2)
    glue = first.isin([bytes([GLUE, compression]) for compression in GLUE_COMPRESSIONS])
    # Zeros do not count: our registry's ids have zeros here, behind a damaged magic byte. A random UUID may have them
    # too.
    random_uuid = F.hex(F.substring(value, 9, 1)).like("4_") & F.hex(F.substring(value, 11, 1)).rlike("^[89AB]")
    glue &= (F.substring(value, 3, 1) != F.lit(bytes(1))) | random_uuid
    return (glue & (F.length(value) >= GLUE_BYTES)) | (
        (first == F.lit(SINGLE_OBJECT)) & (F.length(value) >= SINGLE_OBJECT_BYTES)
    )


def with_a_longer_id(value: Column) -> Column:
    """Return whether a value with the magic byte has an id of more than four bytes behind it."""
    long_id = (F.substring(value, 1, len(LONG_ID)) == F.lit(LONG_ID)) & (F.length(value) >= LONG_ID_BYTES)
    digits = F.substring(value, len(AZURE_MARK) + 1, AZURE_ID_CHARS).cast("string")
    azure = F.substring(value, 1, len(AZURE_MARK)) == F.lit(AZURE_MARK)
    return long_id | (azure & digits.rlike(f"^[0-9a-fA-F]{{{AZURE_ID_CHARS}}}$"))
