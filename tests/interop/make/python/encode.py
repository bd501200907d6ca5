"""Writes every event of cases.json with Apache's `avro` package for Python."""

import io
import json
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import avro.errors
import avro.io
import avro.schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value(text, schema):
    """Convert a datum from Avro's JSON encoding. For logical types this package takes Python objects."""
    logical = schema.props.get("logicalType")
    if schema.type == "union":
        if text is None:
            return None
        ((branch, inner),) = text.items()
        return value(inner, next(each for each in schema.schemas if name(each) == branch))
    if schema.type == "record":
        return {field.name: value(text[field.name], field.type) for field in schema.fields}
    if schema.type == "array":
        return [value(each, schema.items) for each in text]
    if schema.type == "map":
        return {key: value(each, schema.values) for key, each in text.items()}
    if logical == "decimal":
        return Decimal(int.from_bytes(text.encode("latin-1"), signed=True)).scaleb(-schema.props["scale"])
    if logical == "timestamp-millis":
        return EPOCH + timedelta(milliseconds=text)
    if logical == "timestamp-micros":
        return EPOCH + timedelta(microseconds=text)
    if logical == "date":
        return date(1970, 1, 1) + timedelta(days=text)
    return text.encode("latin-1") if schema.type in ("bytes", "fixed") else text


def name(schema):
    return schema.fullname if schema.type in ("record", "enum", "fixed") else schema.type


for case in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
    schema = avro.schema.parse(json.dumps(case["schema"]))
    for number, each in enumerate(case["events"]):
        out = io.BytesIO()
        try:
            avro.io.DatumWriter(schema).write(value(each["event"], schema), avro.io.BinaryEncoder(out))
        except avro.errors.AvroException as error:
            print(f"{case['name']} {number}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        print(json.dumps({"case": case["name"], "event": number, "hex": out.getvalue().hex()}))
