"""The Avro contracts kept in `schemas/`: one file per subject and version, `<subject>.v<version>.avsc`."""

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from adstream.errors import SchemaNotFound

_FILE_NAME = re.compile(r"(?P<subject>.+)\.v(?P<version>\d+)\.avsc")


@dataclass(frozen=True)
class Contract:
    """One committed version of one subject; `text` is the schema as canonical JSON."""

    subject: str
    version: int
    text: str

    @property
    def schema(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed

    @property
    def time_field(self) -> str:
        """The field that holds the event time: the first one of logical type timestamp-millis."""
        for field in self.schema["fields"]:
            if isinstance(field["type"], dict) and field["type"].get("logicalType") == "timestamp-millis":
                return str(field["name"])
        raise SchemaNotFound(f"{self.subject} has no event time", "give it a field of logical type timestamp-millis")


def names() -> list[str]:
    """The name of every contract: its subject without `-value`, which is its topic's default name."""
    matches = (_FILE_NAME.fullmatch(entry.name) for entry in resources.files("schemas").iterdir())
    return sorted({match["subject"].removesuffix("-value") for match in matches if match})


def history(name: str) -> list[Contract]:
    """All committed versions of `<name>-value`, oldest first. Raises SchemaNotFound where there are none."""
    subject = f"{name}-value"
    found = []
    for entry in resources.files("schemas").iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match and match["subject"] == subject:
            text = json.dumps(json.loads(entry.read_text(encoding="utf-8")), separators=(",", ":"))
            found.append(Contract(subject, int(match["version"]), text))
    if not found:
        raise SchemaNotFound(f"schemas/ holds no contract for {subject}", f"add schemas/{subject}.v1.avsc")
    return sorted(found, key=lambda contract: contract.version)


def latest(name: str) -> Contract:
    """The newest committed version of `<name>-value`: the reader schema of every job over it."""
    return history(name)[-1]
