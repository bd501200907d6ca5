#!/bin/bash
# fastavro reads the branch -1 of a union as its last branch, and the symbol -1 of an enum as its last symbol: the number
# from the wire is an index into a Python list. Apache's own library refuses both.
#
# Why it matters: one flipped bit turns "null" (0x00) into "the last branch" (0x01). A damaged message can then be read as another
# event, where the other consumers of the topic see that it is damaged.
#
# Source: Avro 1.12 specification, "Unions" and "Enums" in the binary encoding: the zero-based position.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install fastavro==1.13.1 avro==1.12.2
cat > minus.py <<'END'
import io, json
import avro.io, avro.schema, fastavro
for name, schema, payload in [
    ("union", ["null", "string"], b"\x01\x04ab"),
    ("enum", {"type": "enum", "name": "E", "symbols": ["PHONE", "DESKTOP"]}, b"\x01"),
]:
    print(f"{name} | fastavro: {fastavro.schemaless_reader(io.BytesIO(payload), schema, None)!r}")
    try:
        parsed = avro.schema.parse(json.dumps(schema))
        print(f"{name} | avro for Python: {avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(payload)))!r}")
    except avro.errors.SchemaResolutionException as error:
        print(f"{name} | avro for Python: {str(error).splitlines()[0]}")
END
echo "fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p') and avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') for Python"
venv/bin/python minus.py | tee found
cat > expected <<'END'
union | fastavro: 'ab'
union | avro for Python: Can't access branch index -1 for union with 2 branches
enum | fastavro: 'DESKTOP'
enum | avro for Python: Can't access enum index -1 for enum with 2 symbols
END
diff expected found && echo "as described"
