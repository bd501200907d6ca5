#!/bin/bash
# apache-avro for Rust reads a writer's double into a reader's float, and a long into an int where it fits, although its own
# compatibility check says that the reader cannot read that writer. 16777217.0 arrives as 16777216.0, without an error.
#
# Why it matters: elsewhere such a pair stops at the first message, in every language that was tried, and somebody looks. Here
# sums of money are wrong in the eighth digit, and nobody does.
#
# Source: Avro 1.12 specification, "Schema Resolution": promotions go from int, long and float upwards only; any other
# pair is an error.
# Tried with apache-avro@0.22.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > Cargo.toml <<'END'
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
cat > main.rs <<'END'
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

fn main() {
    for (from, to, value) in [
        ("double", "float", Value::Double(16777217.0)),
        ("long", "int", Value::Long(7)),
        ("long", "int", Value::Long(3_000_000_000)),
    ] {
        let writer = Schema::parse_str(&format!("\"{from}\"")).unwrap();
        let reader = Schema::parse_str(&format!("\"{to}\"")).unwrap();
        let shown = format!("{value:?}");
        let written = GenericDatumWriter::builder(&writer).build().unwrap().write_value_to_vec(value).unwrap();
        let check = if SchemaCompatibility::can_read(&writer, &reader).is_ok() { "compatible" } else { "incompatible" };
        let read = GenericDatumReader::builder(&writer).reader_schema(&reader).build().unwrap().read_value(&mut &written[..]);
        let said = read.map(|found| format!("{found:?}")).unwrap_or("an error".to_string());
        println!("{shown} read as {to} | check: {check} | reader: {said}");
    }
}
END
cargo build -q
echo "apache-avro $(cargo tree -q --depth 1 --prefix none | sed -n 's/^apache-avro v//p') for Rust"
./target/debug/found | tee found
cat > expected <<'END'
Double(16777217.0) read as float | check: incompatible | reader: Float(16777216.0)
Long(7) read as int | check: incompatible | reader: Int(7)
Long(3000000000) read as int | check: incompatible | reader: an error
END
diff expected found && echo "as described"
