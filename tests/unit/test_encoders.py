"""The oracle, `explain`, `replay` and `consume` agree on one event in the bytes of other languages' encoders."""

import io
import json
from datetime import UTC, datetime, timedelta

import avro.io
import avro.schema
import pytest

from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.repair import repaired
from adstream.verify.judge import Judge
from common import contracts
from common.avro import wire
from common.registry import Registered
from consumer.decoding import Decoded, Decoder
from tests.unit.encoded_elsewhere import EVENT, MORE, PAYLOADS, SCHEMA
from tests.unit.test_other_schemas import Registry

CONTRACT = contracts.latest("ads_data")
ARRIVAL = EVENT["timestamp"] + 1_000
NOW = datetime.fromtimestamp(ARRIVAL / 1_000, UTC)


def by_python() -> bytes:
    """Return the event as Apache Avro's Python library writes it."""
    out = io.BytesIO()
    time = datetime.fromtimestamp(EVENT["timestamp"] / 1_000, UTC)
    writer = avro.io.DatumWriter(avro.schema.parse(json.dumps(SCHEMA)))
    writer.write({**EVENT, **MORE, "timestamp": time}, avro.io.BinaryEncoder(out))
    return out.getvalue()


@pytest.mark.parametrize("source", [*PAYLOADS, "Python"])
def test_an_event_is_the_same_whoever_wrote_it(source: str) -> None:
    value = wire.frame(7, PAYLOADS[source] if source in PAYLOADS else by_python())
    judged = Judge({7: SCHEMA}, timedelta(minutes=10)).judge(0, 0, ARRIVAL, value)
    assert (judged.outcome, judged.cost_micros, judged.event_id) == ("counted", 250_000, "e-1")
    diagnose = Diagnoser(
        "ads_data-value", {7: Registered(7, 3, json.dumps(SCHEMA))}, lambda _id: "", CONTRACT, takes_json=False
    )
    found = diagnose(value, [], ARRIVAL)
    assert (found.reason, found.event) == (None, EVENT)
    assert {each.name: each.value for each in found.fields} == {**EVENT, **MORE}
    consumed = Decoder(Registry(json.dumps(SCHEMA)))(value)  # type: ignore[arg-type]
    assert isinstance(consumed, Decoded)
    assert {name: consumed.value[name] for name in MORE} == MORE
    again = repaired(value, found, {"clicks": "64"}, CONTRACT, NOW)
    assert diagnose(again, [], ARRIVAL).event == {**EVENT, "clicks": 64}
    assert again[-14:] == value[-14:]
