#!/bin/bash
# Where a message lacks a field and the reader's default steps in, fastavro gives the default as it stands in the schema's
# JSON: a time is the int 0 and not a datetime, a decimal and bytes are a str, and a nested record lacks the fields that have
# defaults of their own. Messages that carry the field give the right types.
#
# Why it matters: a consumer that was tested with new messages fails with a TypeError or KeyError on old ones, at the first
# comparison or sum; and a value that is only passed on is wrong downstream.
#
# Source: Avro 1.12 specification, "Records": defaults for bytes are strings whose code points 0-255 are the bytes' values; a field's
# default is the value that a reader sees.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install fastavro==1.13.1
cat > defaults.py <<'END'
import io
import fastavro
types = {
    "at": ({"type": "long", "logicalType": "timestamp-millis"}, 0, b"\x00"),
    "budget": ({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}, "\u0004\u00e2", b"\x04\x04\xe2"),
    "digest": ("bytes", "\u00ff\u0001", b"\x04\xff\x01"),
    "place": ({"type": "record", "name": "P", "fields": [
        {"name": "floor", "type": "int", "default": 4}, {"name": "city", "type": "string"}]}, {"city": "x"}, b"\x08\x02x"),
}
for name, (avro_type, default, payload) in types.items():
    old = {"type": "record", "name": "R", "fields": [{"name": "clicks", "type": "int"}]}
    new = {"type": "record", "name": "R", "fields": [*old["fields"], {"name": name, "type": avro_type, "default": default}]}
    written = fastavro.schemaless_reader(io.BytesIO(b"\x0a" + payload), new, new)[name]
    defaulted = fastavro.schemaless_reader(io.BytesIO(b"\x0a"), old, new)[name]
    print(f"{name} | written: {written!r} | by default: {defaulted!r}")
END
echo "fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p') for Python"
venv/bin/python defaults.py | tee found
cat > expected <<'END'
at | written: datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc) | by default: 0
budget | written: Decimal('12.50') | by default: '\x04â'
digest | written: b'\xff\x01' | by default: 'ÿ\x01'
place | written: {'floor': 4, 'city': 'x'} | by default: {'city': 'x'}
END
diff expected found && echo "as described"
