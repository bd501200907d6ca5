#!/bin/bash
# ["null", "string"] with the default "web": since 1.12 Avro's specification and Java take a default for any branch of a
# union. Node's avsc and Go's hamba/avro refuse the whole schema, Apache Avro for Python each message that lacks the field, and
# apache-avro for Rust takes both and reads null in place of "web", without an error.
#
# Why it matters: registries ask Java, so that the version is registered, and is then the newest of its subject. Consumers in
# three languages stop at its first message, and those in a fourth say that the channel is unknown.
#
# Source: Avro 1.12 specification, "Unions": the type of the default must match with one element of the union. Until 1.11 it
# was the first element.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

old='{"type": "record", "name": "R", "fields": [{"name": "clicks", "type": "int"}]}'
new='{"type": "record", "name": "R", "fields": [{"name": "clicks", "type": "int"}, {"name": "channel", "type": ["null", "string"], "default": "web"}]}'

mkdir java go rust node
cat > java/pom.xml <<'END'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.2</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
</dependencies></project>
END
cat > java/Read.java <<'END'
import org.apache.avro.*;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;

class Read {
  public static void main(String[] args) throws Exception {
    Schema old = new Schema.Parser().parse(args[0]), now = new Schema.Parser().parse(args[1]);
    var decoder = DecoderFactory.get().binaryDecoder(new byte[] {10}, null);
    GenericRecord found = new GenericDatumReader<GenericRecord>(old, now).read(null, decoder);
    System.out.println("Java: " + SchemaCompatibility.checkReaderWriterCompatibility(now, old).getType() + ", " + found.get("channel"));
  }
}
END
(cd java && mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 2; })

python3 -m venv venv
venv/bin/pip -q install avro==1.12.2 fastavro==1.13.1
cat > read.py <<'END'
import io, json, sys
import avro.errors, avro.io, avro.schema, fastavro
old, new = (json.loads(text) for text in sys.argv[1:])
try:
    writer, reader = avro.schema.parse(json.dumps(old)), avro.schema.parse(json.dumps(new))
    found = avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(io.BytesIO(b"\x0a")))
    print("avro for Python:", found["channel"])
except avro.errors.InvalidDefaultException:
    print("avro for Python: InvalidDefaultException")
print("fastavro:", fastavro.schemaless_reader(io.BytesIO(b"\x0a"), old, new)["channel"])
END

cat > node/read.js <<'END'
try {
  require('avsc').Type.forSchema(JSON.parse(process.argv[2]));
  console.log('avsc: parsed');
} catch (error) {
  console.log('avsc: ' + error.message);
}
END
(cd node && npm install --silent --no-package-lock avsc@5.7.9 > log 2>&1 || { cat log; exit 2; })

cat > go/go.mod <<'END'
module read

go 1.24

require github.com/hamba/avro/v2 v2.31.0
END
cat > go/main.go <<'END'
package main

import (
	"fmt"
	"os"

	"github.com/hamba/avro/v2"
)

func main() {
	_, err := avro.Parse(os.Args[1])
	fmt.Println("hamba/avro:", err)
}
END
(cd go && go mod tidy > log 2>&1 && go build -o read . || { cat log; exit 2; })

cat > rust/Cargo.toml <<'END'
[package]
name = "found"
version = "0.0.0"
edition = "2024"

[[bin]]
name = "found"
path = "main.rs"

[dependencies]
apache-avro = "=0.22.0"

[profile.dev]
debug = false
END
cat > rust/main.rs <<'END'
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Schema;

fn main() {
    let schemas: Vec<_> = std::env::args().skip(1).map(|text| Schema::parse_str(&text).unwrap()).collect();
    let reader = GenericDatumReader::builder(&schemas[0]).reader_schema(&schemas[1]).build().unwrap();
    println!("apache-avro for Rust: {:?}", reader.read_value(&mut &[10u8][..]).unwrap());
}
END
(cd rust && cargo build -q)

echo "Apache Avro for Java 1.12.2, avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') and fastavro" \
  "$(venv/bin/pip show fastavro | sed -n 's/^Version: //p') for Python, avsc $(node -p "require('$work/node/node_modules/avsc/package.json').version") for" \
  "Node, hamba/avro 2.31.0 for Go, apache-avro $(cd rust && cargo tree -q --depth 1 --prefix none | sed -n 's/^apache-avro v//p') for Rust"
{
  java -cp "$(cat java/classpath)" java/Read.java "$old" "$new"
  venv/bin/python read.py "$old" "$new"
  (cd node && node read.js "$new")
  go/read "$new"
  rust/target/debug/found "$old" "$new"
} | tee found
cat > expected <<'END'
Java: COMPATIBLE, web
avro for Python: InvalidDefaultException
fastavro: web
avsc: incompatible field default "web" (invalid "null": "web"), union defaults must match the first branch's type ("null")
hamba/avro: avro: invalid default for field channel. {} not a union
apache-avro for Rust: Record([("clicks", Int(5)), ("channel", Union(0, Null))])
END
diff expected found && echo "as described"
