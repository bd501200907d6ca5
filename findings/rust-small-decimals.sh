#!/bin/bash
# apache-avro for Rust cannot read, with a reader schema, a decimal that it wrote itself, unless the amount is large: it
# wants as many bytes as the largest number of the declared precision takes. 12.50 as decimal(12, 2) is two bytes, which
# is "too small"; the same number with four zero bytes in front is read.
#
# Why it matters: Java, Python and Go write the fewest bytes. A Rust consumer that resolves to its own schema refuses
# nearly all real amounts, and takes the rare ones in the billions. Without a reader schema all is well, so that the
# fault shows only when schemas begin to differ.
#
# Source: Avro 1.12 specification, "Decimal": a bytes array holds the two's complement; only for `fixed` does the size limit the
# precision.
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
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::Decimal;

fn main() {
    let text = r#"{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}"#;
    let schema = Schema::parse_str(text).unwrap();
    let amounts = [
        ("12.50 in 2 bytes", vec![0x04, 0xe2]),
        ("5000000.00 in 4 bytes", vec![0x1d, 0xcd, 0x65, 0x00]),
        ("6000000000.00 in 6 bytes", vec![0x00, 0x8b, 0xb2, 0xc9, 0x70, 0x00]),
        ("12.50 in 6 bytes", vec![0, 0, 0, 0, 0x04, 0xe2]),
    ];
    for (name, bytes) in amounts {
        let value = Value::Decimal(Decimal::from(bytes));
        let written = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
        let plain = GenericDatumReader::builder(&schema).build().unwrap();
        let resolving = GenericDatumReader::builder(&schema).reader_schema(&schema).build().unwrap();
        let said = match resolving.read_value(&mut &written[..]) {
            Ok(_) => "read".to_string(),
            Err(error) => error.to_string(),
        };
        let alone = if plain.read_value(&mut &written[..]).is_ok() { "read" } else { "refused" };
        println!("{name} | no reader schema: {alone} | the same schema as reader: {said}");
    }
}
END
cargo build -q
echo "apache-avro $(cargo tree -q --depth 1 --prefix none | sed -n 's/^apache-avro v//p') for Rust"
./target/debug/found | tee found
cat > expected <<'END'
12.50 in 2 bytes | no reader schema: read | the same schema as reader: Precision 12 too small to hold decimal values with 2 bytes
5000000.00 in 4 bytes | no reader schema: read | the same schema as reader: Precision 12 too small to hold decimal values with 4 bytes
6000000000.00 in 6 bytes | no reader schema: read | the same schema as reader: read
12.50 in 6 bytes | no reader schema: read | the same schema as reader: read
END
diff expected found && echo "as described"
