#!/bin/bash
# Writes a new ../messages.json: every event of cases.json by every encoder. Needs a JDK, Maven, Python, Go, Rust, Node.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here"/{java,python,go,rust,node} "$work"
written=$work/written
mkdir "$written"
cases=$here/cases.json
python3 "$here/cases.py"

cd "$work/java"
mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath
for kind in binary direct blocking; do
  java -cp "$(cat classpath)" Encode.java "$kind" "$cases" > "$written/java-$kind.jsonl"
done

cd "$work/python"
python3 -m venv venv
venv/bin/pip -q install -r requirements.txt
venv/bin/python encode.py "$cases" > "$written/python-avro.jsonl"

cd "$work/go"
go build -o encode .
./encode hamba "$cases" > "$written/go-hamba.jsonl"
./encode goavro "$cases" > "$written/go-goavro.jsonl"

cd "$work/rust"
cargo run -q -- "$cases" > "$written/rust-apache-avro.jsonl"

cd "$work/node"
npm install --silent
node encode.js "$cases" > "$written/node-avsc.jsonl"

python3 "$here/collect.py" "$written"
