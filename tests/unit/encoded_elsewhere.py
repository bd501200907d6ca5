"""One event in the bytes of other languages' encoders. They differ in blocks of arrays and maps, and in no value.

The event is `EVENT` by `SCHEMA`. Sources:

- Java: Apache Avro 1.12.1, GenericDatumWriter with EncoderFactory's `binaryEncoder` and `blockingBinaryEncoder`.
- Go: github.com/hamba/avro/v2 2.31.0, `avro.Marshal`; the second with `avro.Config{BlockLength: 2}`.
"""

from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "AdEvent",
    "namespace": "adstream",
    "fields": [
        {"name": "ad_id", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "clicks", "type": "int"},
        {"name": "views", "type": "int"},
        {"name": "cost", "type": "double"},
        {"name": "event_id", "type": ["null", "string"], "default": None},
        {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None},
        {"name": "counts", "type": {"type": "map", "values": "long"}, "default": {}},
    ],
}
EVENT: dict[str, Any] = {
    "ad_id": "ad-1", "timestamp": 1_772_366_400_000, "clicks": 3, "views": 70, "cost": 0.25, "event_id": "e-1",
}  # fmt: skip
MORE: dict[str, Any] = {"tags": ["a", "b", "c"], "counts": {"x": 1}}
_EVENT = "0861642d3180a8a8949567068c01000000000000d03f0206652d31"
PAYLOADS = {
    "Java": bytes.fromhex(_EVENT + "0206026102620263000202780200"),
    "Java, blocking": bytes.fromhex(_EVENT + "02050c02610262026300010602780200"),
    "Go": bytes.fromhex(_EVENT + "02050c02610262026300010602780200"),
    "Go, blocks of two": bytes.fromhex(_EVENT + "020308026102620104026300010602780200"),
}
