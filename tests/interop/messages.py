"""Loads messages.json: bytes from Avro encoders of five languages, with their writers and their meaning.

`make/` has the programs that wrote these messages.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.avro import wire

_FILE = Path(__file__).parent / "messages.json"
_MADE = json.loads(_FILE.read_text(encoding="utf-8"))
TOOLS: dict[str, str] = _MADE["tools"]
# The broker time of all messages, in milliseconds since 1970: a second after the events.
ARRIVAL: int = _MADE["arrival"]


@dataclass(frozen=True)
class Message:
    """One message. `payload` is plain Avro by `schema` (JSON text); the tools in `sources` wrote these bytes.

    `stored` is the event in Avro's JSON encoding by the writer's schema: times, dates and decimals in their stored
    form. `fate` is `counted` or `dead`. `reason` is the dead letter's reason if the event breaks a rule of the
    contract. `seen` has a counted event in the contract's terms: ad_id, timestamp (ms), clicks, views, cost_micros,
    event_id.
    """

    case: str
    number: int
    says: str
    schema: str
    sources: tuple[str, ...]
    payload: bytes
    stored: dict[str, Any]
    fate: str
    reason: str
    seen: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.case}-{self.number}-{self.sources[0]}"

    def framed(self, schema_id: int) -> bytes:
        """Return the message as a topic has it: the registry's 5-byte header, and the payload."""
        return wire.frame(schema_id, self.payload)


def messages() -> list[Message]:
    """Return all messages, one for each distinct sequence of bytes."""
    return [
        Message(
            case["name"],
            number,
            case["says"],
            json.dumps(case["schema"]),
            tuple(TOOLS[name] for name in written["by"]),
            bytes.fromhex(written["hex"]),
            event["event"],
            event["fate"],
            event.get("reason", ""),
            event.get("seen"),
        )
        for case in _MADE["cases"]
        for number, event in enumerate(case["events"])
        for written in event["written"]
    ]


def schemas() -> dict[str, str]:
    """Return the writers' schemas as JSON text, by case."""
    return {case["name"]: json.dumps(case["schema"]) for case in _MADE["cases"]}
