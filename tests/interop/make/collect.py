"""Merges the encoders' messages into ../messages.json: the bytes of every event, and their writers."""

import json
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = {
    "java-binary": "Apache Avro for Java 1.12.2, BinaryEncoder",
    "java-direct": "Apache Avro for Java 1.12.2, DirectBinaryEncoder",
    "java-blocking": "Apache Avro for Java 1.12.2, BlockingBinaryEncoder with blocks of 64 bytes",
    "python-avro": "Apache Avro for Python 1.12.2",
    "go-hamba": "hamba/avro for Go 2.31.0",
    "go-goavro": "linkedin/goavro for Go 2.15.0",
    "rust-apache-avro": "apache-avro for Rust 0.22.0",
    "node-avsc": "avsc for Node 5.7.9",
}
# The crate writes every UUID in lower case, so this message is another event.
OTHER_EVENTS = {("rust-apache-avro", "event-id-uuid", 1)}


def main() -> None:
    found: dict[tuple[str, int], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for tool in TOOLS:
        for line in (Path(sys.argv[1]) / f"{tool}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if (tool, row["case"], row["event"]) not in OTHER_EVENTS:
                found[row["case"], row["event"]][row["hex"]].append(tool)
    cases = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    for case in cases:
        for number, event in enumerate(case["events"]):
            event["written"] = [{"hex": text, "by": by} for text, by in found[case["name"], number].items()]
    made = {"tools": TOOLS, "arrival": 1_740_121_601_000, "cases": cases}
    (HERE.parent / "messages.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
