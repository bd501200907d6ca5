#!/bin/bash
# The same value has two encodings: hamba/avro for Go writes an array with a negated count and the size of its bytes, goavro
# and fastavro with the count alone. Both are right, and every reader takes both.
#
# Why it matters: Kafka knows a key by its bytes alone. Where an Avro key holds an array or a map, the same key from two
# services goes to two partitions, a compacted topic keeps both, and a table built on it has two rows. Two Go programs are
# enough. Signatures and dedupe by bytes fail alike.
#
# Source: Avro 1.12 specification, "Arrays" and "Maps" in the binary encoding: a writer may choose either form. The JVM's
# default partitioner and librdkafka's `murmur2_random` both hash the key's bytes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > go.mod <<'END'
module found

go 1.24

require (
	github.com/hamba/avro/v2 v2.31.0
	github.com/linkedin/goavro/v2 v2.15.0
)
END
cat > main.go <<'END'
package main

import (
	"encoding/hex"
	"fmt"

	"github.com/hamba/avro/v2"
	"github.com/linkedin/goavro/v2"
)

const schema = `{"type": "array", "items": "string"}`

func main() {
	one, err := avro.Marshal(avro.MustParse(schema), []string{"nl", "ad-007"})
	fmt.Println("hamba/avro", hex.EncodeToString(one), err)
	codec, _ := goavro.NewCodec(schema)
	two, err := codec.BinaryFromNative(nil, []any{"nl", "ad-007"})
	fmt.Println("goavro", hex.EncodeToString(two), err)
}
END
go mod tidy > log 2>&1 || { cat log; exit 2; }

python3 -m venv venv
venv/bin/pip -q install fastavro==1.13.1 kafka-python==2.2.15
cat > keys.py <<'END'
import io, sys
import fastavro
from kafka.partitioner.default import murmur2
schema = {"type": "array", "items": "string"}
out = io.BytesIO()
fastavro.schemaless_writer(out, schema, ["nl", "ad-007"])
for line in [*sys.stdin, f"fastavro {out.getvalue().hex()}"]:
    tool, text = line.split()[:2]
    key = bytes.fromhex(text)
    read = fastavro.schemaless_reader(io.BytesIO(key), schema, None)
    print(f"{tool} | {text} | read as {read} | partition {(murmur2(key) & 0x7FFFFFFF) % 12} of 12")
END
echo "hamba/avro 2.31.0 and goavro 2.15.0 for Go, fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p')," \
  "kafka-python $(venv/bin/pip show kafka-python | sed -n 's/^Version: //p') for the partition"
go run . | venv/bin/python keys.py | tee found
cat > expected <<'END'
hamba/avro | 0314046e6c0c61642d30303700 | read as ['nl', 'ad-007'] | partition 7 of 12
goavro | 04046e6c0c61642d30303700 | read as ['nl', 'ad-007'] | partition 10 of 12
fastavro | 04046e6c0c61642d30303700 | read as ['nl', 'ad-007'] | partition 10 of 12
END
diff expected found && echo "as described"
