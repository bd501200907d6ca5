"""Writes cases.json: other people's schemas, events by each, and the event that a reader of v2 must see.

Events are in Avro's JSON encoding, and every tool in this folder turns them into values of its own. In this encoding a
union's value is null or {"branch": value}. Bytes are a string of code points below 256.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
V2 = json.loads((HERE.parents[2] / "schemas" / "ads_data-value.v2.avsc").read_text(encoding="utf-8"))
AT = 1_740_121_600_000
UUID = "7f3b1c9e-52d4-4b60-9a81-0c6e4f2d7a35"
EVENT = {"ad_id": "ad-007", "timestamp": AT, "clicks": 3, "views": 40, "cost": 0.125, "event_id": {"string": "e-1"}}
SEEN = {"ad_id": "ad-007", "timestamp": AT, "clicks": 3, "views": 40, "cost_micros": 125_000, "event_id": "e-1"}

Json = Any


def typed(**types: Json) -> Json:
    """Return v2 with these types. A new field goes to the end."""
    schema = deepcopy(V2)
    for name, avro_type in types.items():
        known = [field for field in schema["fields"] if field["name"] == name]
        if known:
            known[0]["type"] = avro_type
        else:
            schema["fields"].append({"name": name, "type": avro_type})
    return schema


def counted(event: Json, **seen: Json) -> Json:
    return {"event": event, "fate": "counted", "seen": {**SEEN, **seen}}


def dead(event: Json, reason: str = "") -> Json:
    return {"event": event, "fate": "dead", **({"reason": reason} if reason else {})}


def case(name: str, says: str, schema: Json, *events: Json) -> Json:
    return {"name": name, "says": says, "schema": schema, "events": list(events)}


def _without(event: Json, *names: str) -> Json:
    return {name: value for name, value in event.items() if name not in names}


def _nullable(names: dict[str, str], schema_name: str, namespace: str, time: Json) -> Json:
    fields = [
        {
            "name": names[field["name"]],
            "type": ["null", time if field["name"] == "timestamp" else kind],
            "default": None,
        }
        for field in V2["fields"]
        for kind in [field["type"] if field["name"] != "event_id" else "string"]
    ]
    return {"type": "record", "name": schema_name, "namespace": namespace, "fields": fields}


def _boxed(event: Json) -> Json:
    kinds = {"ad_id": "string", "timestamp": "long", "clicks": "int", "views": "int", "cost": "double"}
    return {
        name: {kinds[name]: value} if name in kinds and value is not None else value for name, value in event.items()
    }


def _contract() -> list[Json]:
    v1 = {**V2, "fields": V2["fields"][:-1]}
    reordered = {**V2, "fields": [*reversed(V2["fields"])]}
    return [
        case(
            "v2",
            "the contract as it is",
            V2,
            counted(EVENT),
            counted({**EVENT, "event_id": None}, event_id=None),
            counted(
                {**EVENT, "ad_id": "Überschrift", "clicks": 2_000_000_000, "views": 0, "cost": 999_999.999999},
                ad_id="Überschrift",
                clicks=2_000_000_000,
                views=0,
                cost_micros=999_999_999_999,
            ),
            dead({**EVENT, "clicks": -1}, "clicks_negative"),
        ),
        case("v1", "the version before: no event_id", v1, counted(_without(EVENT, "event_id"), event_id=None)),
        case("reordered", "the same fields in another order", reordered, counted(EVENT)),
        case(
            "other-namespace",
            "the same record in a namespace of its writer",
            {**V2, "namespace": "com.example.marketing"},
            counted(EVENT),
        ),
    ]


def _connectors() -> list[Json]:
    time = {
        "type": "long",
        "connect.version": 1,
        "connect.name": "org.apache.kafka.connect.data.Timestamp",
        "logicalType": "timestamp-millis",
    }
    own = {field["name"]: field["name"] for field in V2["fields"]}
    capitals = {name: name.upper() for name in own}
    boxed = _boxed(EVENT)
    return [
        case(
            "connect",
            "every field nullable, with Connect's annotations",
            {**_nullable(own, "AdEvent", "adstream", time), "connect.name": "adstream.AdEvent"},
            counted(boxed),
            counted({**boxed, "event_id": None}, event_id=None),
            dead({**boxed, "timestamp": None}),
            dead({**boxed, "cost": None}),
        ),
        case(
            "capitals",
            "field names in capitals, every field nullable, as ksqlDB registers them",
            _nullable(capitals, "AdEvent", "adstream", V2["fields"][1]["type"]),
            dead({name.upper(): value for name, value in boxed.items()}),
        ),
    ]


def _new_fields() -> list[Json]:
    tags = ["null", {"type": "array", "items": "string"}]
    many = [f"tag-{number:03}" for number in range(40)]
    middle = typed(tags=tags)
    middle["fields"] = [*middle["fields"][:2], middle["fields"][-1], *middle["fields"][2:-1]]
    place = {
        "type": "record",
        "name": "Place",
        "fields": [
            {"name": "country", "type": "string"},
            {"name": "floors", "type": {"type": "array", "items": ["null", "int"]}},
        ],
    }
    rich = typed(
        device={"type": "enum", "name": "Device", "symbols": ["UNKNOWN", "PHONE", "DESKTOP"]},
        labels={"type": "map", "values": "string"},
        digest={"type": "fixed", "name": "Digest", "size": 4},
        budget={"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4},
        place=["null", place],
        seen_at={"type": "long", "logicalType": "timestamp-micros"},
        day={"type": "int", "logicalType": "date"},
    )
    full = {
        **EVENT,
        "device": "DESKTOP",
        "labels": {"campaign": "spring"},
        "digest": "\x00\x7f\x80\xff",
        "budget": "\x01\xe2\x40",
        "place": {"adstream.Place": {"country": "NL", "floors": [None, {"int": 3}]}},
        "seen_at": AT * 1_000 + 1,
        "day": 20_140,
    }
    return [
        case(
            "tags",
            "a new nullable array of strings at the end",
            typed(tags=tags),
            counted({**EVENT, "tags": None}),
            counted({**EVENT, "tags": {"array": []}}),
            counted({**EVENT, "tags": {"array": ["spring", "sale"]}}),
            counted({**EVENT, "tags": {"array": many}}),
            dead({**EVENT, "clicks": -1, "tags": {"array": ["spring", "sale"]}}, "clicks_negative"),
        ),
        case(
            "tags-in-the-middle",
            "the same array between the contract's fields",
            middle,
            counted({**EVENT, "tags": {"array": ["spring", "sale"]}}),
            counted({**EVENT, "tags": {"array": many}}),
        ),
        case(
            "new-fields",
            "an enum, a map, a fixed, a decimal, a nested record, times",
            rich,
            counted(full),
            counted({**full, "place": None, "labels": {}}),
        ),
    ]


def _other_types() -> list[Json]:
    record = {
        "type": "record",
        "name": "PageView",
        "namespace": "adstream",
        "fields": [{"name": "page", "type": "string"}],
    }
    uuid = ["null", {"type": "string", "logicalType": "uuid"}]
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}
    micros = {"type": "long", "logicalType": "timestamp-micros"}
    return [
        case(
            "cost-float",
            "promoted to double",
            typed(cost="float"),
            counted(EVENT),
            counted({**EVENT, "cost": 0.1}, cost_micros=100_000),
        ),
        case(
            "cost-long",
            "promoted to double",
            typed(cost="long"),
            counted({**EVENT, "cost": 12}, cost_micros=12_000_000),
        ),
        case(
            "cost-nullable",
            "cost may be null",
            typed(cost=["null", "double"]),
            counted({**EVENT, "cost": {"double": 0.125}}),
            dead({**EVENT, "cost": None}),
        ),
        case("ad-id-bytes", "promoted to string", typed(ad_id="bytes"), counted(EVENT)),
        case(
            "event-id-uuid",
            "a UUID, where a reader takes any string",
            typed(event_id=uuid),
            counted({**EVENT, "event_id": {"string": UUID}}, event_id=UUID),
            counted({**EVENT, "event_id": {"string": UUID.upper()}}, event_id=UUID.upper()),
            counted({**EVENT, "event_id": {"string": "order-17"}}, event_id="order-17"),
        ),
        case("timestamp-bare", "a long whose annotation was forgotten", typed(timestamp="long"), counted(EVENT)),
        case(
            "timestamp-micros",
            "another unit, converted by its annotation; what is below a millisecond is cut",
            typed(timestamp=micros),
            counted({**EVENT, "timestamp": AT * 1_000}),
            counted({**EVENT, "timestamp": AT * 1_000 + 999}),
        ),
        case(
            "timestamp-text",
            "ISO text",
            typed(timestamp="string"),
            dead({**EVENT, "timestamp": "2025-02-21T07:06:40Z"}),
        ),
        case("cost-decimal", "a decimal in bytes", typed(cost=decimal), dead({**EVENT, "cost": "\x04\xe2"})),
        case(
            "clicks-double",
            "no promotion goes from double to int",
            typed(clicks="double"),
            dead({**EVENT, "clicks": 2.0}),
        ),
        case("clicks-long", "no promotion goes from long to int", typed(clicks="long"), dead(EVENT)),
        case(
            "union-of-records",
            "the contract's record or another",
            [V2, record],
            counted({"adstream.AdEvent": EVENT}),
            dead({"adstream.PageView": {"page": "/spring"}}),
        ),
    ]


if __name__ == "__main__":
    found = [*_contract(), *_connectors(), *_new_fields(), *_other_types()]
    (HERE / "cases.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
