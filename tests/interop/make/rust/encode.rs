//! Writes every event of cases.json with the crate apache-avro.

use apache_avro::schema::{Name, Schema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{AvroResult, Decimal};
use serde_json::Value as Json;
use std::collections::HashMap;

fn main() {
    let path = std::env::args().nth(1).expect("the path of cases.json");
    let cases: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let schema = match Schema::parse(&case["schema"]) {
            Ok(schema) => schema,
            Err(error) => {
                eprintln!("{name}: {error}");
                continue;
            }
        };
        for (number, each) in case["events"].as_array().unwrap().iter().enumerate() {
            let written = value(&each["event"], &schema)
                .and_then(|event| GenericDatumWriter::builder(&schema).build()?.write_value_to_vec(event));
            match written {
                Ok(bytes) => {
                    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    println!("{{\"case\": \"{name}\", \"event\": {number}, \"hex\": \"{hex}\"}}");
                }
                Err(error) => eprintln!("{name} {number}: {error}"),
            }
        }
    }
}

/// Converts a datum from Avro's JSON encoding. Makes decimals itself: `resolve` accepts a decimal only if its bytes could
/// hold every number of the declared precision.
fn value(text: &Json, schema: &Schema) -> AvroResult<Value> {
    Ok(match schema {
        Schema::Union(union) => {
            let (position, inner) = match text {
                Json::Null => (0, Value::Null),
                other => {
                    let (branch, inner) = other.as_object().unwrap().iter().next().unwrap();
                    let at = union.variants().iter().position(|each| &label(each) == branch).unwrap();
                    (at, value(inner, &union.variants()[at])?)
                }
            };
            Value::Union(position as u32, Box::new(inner))
        }
        Schema::Record(record) => {
            let mut fields = Vec::new();
            for field in &record.fields {
                fields.push((field.name.clone(), value(&text[&field.name], &field.schema)?));
            }
            Value::Record(fields)
        }
        Schema::Array(array) => {
            Value::Array(text.as_array().unwrap().iter().map(|each| value(each, &array.items)).collect::<Result<_, _>>()?)
        }
        Schema::Map(map) => {
            let mut found = HashMap::new();
            for (key, each) in text.as_object().unwrap() {
                found.insert(key.clone(), value(each, &map.types)?);
            }
            Value::Map(found)
        }
        Schema::Bytes => Value::Bytes(latin1(text)),
        Schema::Decimal(_) => Value::Decimal(Decimal::from(latin1(text))),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, latin1(text)),
        Schema::Int | Schema::Date => Value::Int(text.as_i64().unwrap() as i32).resolve(schema)?,
        Schema::Float => Value::Float(text.as_f64().unwrap() as f32),
        Schema::Double => Value::Double(text.as_f64().unwrap()),
        Schema::Long | Schema::TimestampMillis | Schema::TimestampMicros => {
            Value::Long(text.as_i64().unwrap()).resolve(schema)?
        }
        _ => Value::String(text.as_str().unwrap().to_string()).resolve(schema)?,
    })
}

fn label(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => Name::fullname(name, None),
        None => match schema {
            Schema::Array(_) => "array",
            Schema::Map(_) => "map",
            Schema::String | Schema::Uuid(_) => "string",
            Schema::Long | Schema::TimestampMillis => "long",
            Schema::Int => "int",
            Schema::Float => "float",
            Schema::Double => "double",
            Schema::Bytes => "bytes",
            _ => "null",
        }
        .to_string(),
    }
}

fn latin1(text: &Json) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|each| each as u8).collect()
}
