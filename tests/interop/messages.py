"""Loads messages.json: bytes by Avro encoders of four languages, kept with who wrote them and what they say.

`make/` beside it holds the programs that wrote them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.avro import wire

_FILE = Path(__file__).parent / "messages.json"
_MADE = json.loads(_FILE.read_text(encoding="utf-8"))
TOOLS: dict[str, str] = _MADE["tools"]
# When the broker got all of them, in milliseconds since 1970: a second after the events.
ARRIVAL: int = _MADE["arrival"]


@dataclass(frozen=True)
class Message:
    """One message: `payload` is plain Avro by `schema` (JSON text); `sources` name the tools that wrote these bytes.

    `stored` is the event in Avro's JSON encoding by the writer's schema: times, dates and decimals as they are stored.
    `fate` is `counted` or `dead`; `reason` is the letter's, where a rule of the contract is broken. `seen` says what
    a counted event is in the contract's words: ad_id, timestamp (ms), clicks, views, cost_micros, event_id.
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
        """The message as a topic holds it: the registry's 5-byte header, and the payload."""
        return wire.frame(schema_id, self.payload)


def messages() -> list[Message]:
    """All of them, one for each different run of bytes."""
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
    """The writers' schemas as JSON text, by case."""
    return {case["name"]: json.dumps(case["schema"]) for case in _MADE["cases"]}
