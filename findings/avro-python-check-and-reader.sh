#!/bin/bash
# Apache Avro for Python: its compatibility check says "compatible" for four kinds of change that its own reader then refuses
# or reads wrongly. A renamed field with an alias and a default is the worst: the reader ignores the alias and gives the
# default.
#
# Why it matters: a test that asks the check before a schema is registered is green, and the consumer in the same language
# stops, or counts -1 for every message.
#
# Source: Avro 1.12 specification, "Schema Resolution" (bytes are promoted to string, records match by their unqualified name,
# an enum's default stands for unknown symbols) and "Aliases" (a reader may use them). Its check follows all of these.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install avro==1.12.2 fastavro==1.13.1
cat > check.py <<'END'
import io, json
import avro.io, avro.schema, fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker

def record(avro_type, **more):
    return {"type": "record", "name": "R", "fields": [{"name": "clicks", "type": avro_type}], **more}

def enum(symbols, **more):
    return {"type": "enum", "name": "E", "symbols": symbols, **more}

renamed = {"type": "record", "name": "R", "fields": [
    {"name": "hits", "aliases": ["clicks"], "type": "int", "default": -1}]}
for name, writer, reader, payload in [
    ("bytes read as string", record("bytes"), record("string"), b"\x04ab"),
    ("another namespace", record("int", namespace="one"), record("int", namespace="two"), b"\x0a"),
    ("an enum's default", record(enum(["A", "B", "C"])), record(enum(["A", "B"], default="A")), b"\x04"),
    ("clicks, now hits, default -1", record("int"), renamed, b"\x0a"),
]:
    theirs, ours = avro.schema.parse(json.dumps(writer)), avro.schema.parse(json.dumps(reader))
    verdict = ReaderWriterCompatibilityChecker().get_compatibility(ours, theirs).compatibility.name
    try:
        read = avro.io.DatumReader(theirs, ours).read(avro.io.BinaryDecoder(io.BytesIO(payload)))
    except avro.errors.SchemaResolutionException:
        read = "SchemaResolutionException"
    other = fastavro.schemaless_reader(io.BytesIO(payload), writer, reader)
    print(f"{name} | check: {verdict} | reader: {read} | fastavro's reader: {other}")
END
echo "avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') and fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p') for Python"
venv/bin/python check.py | tee found
cat > expected <<'END'
bytes read as string | check: compatible | reader: SchemaResolutionException | fastavro's reader: {'clicks': 'ab'}
another namespace | check: compatible | reader: SchemaResolutionException | fastavro's reader: {'clicks': 5}
an enum's default | check: compatible | reader: SchemaResolutionException | fastavro's reader: {'clicks': 'A'}
clicks, now hits, default -1 | check: compatible | reader: {'hits': -1} | fastavro's reader: {'hits': 5}
END
diff expected found && echo "as described"
