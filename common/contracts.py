"""The Avro contracts: one file per subject and version, `<subject>.v<version>.avsc`.

The files are in three places: in `schemas/`, and in the `schemas/` folders of a user's project (common.project) and of
installed packages (common.extensions).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from common import project
from common.errors import BadInput, ConfigError, SchemaNotFound

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
    """Return the name of every contract: its subject without `-value`, which is its topic's default name."""
    return sorted({subject.removesuffix("-value") for subject, _version, _file in _files()})


def history(name: str) -> list[Contract]:
    """Return all committed versions of `<name>-value`, oldest first.

    Raises SchemaNotFound if there are none, and BadInput for a file that holds no record.
    """
    subject = f"{name}-value"
    found = []
    for named, version, file in _files():
        if named == subject:
            found.append(Contract(subject, version, _canonical(file)))
    if not found:
        raise SchemaNotFound(f"schemas/ holds no contract for {subject}", f"add schemas/{subject}.v1.avsc")
    return sorted(found, key=lambda contract: contract.version)


def latest(name: str) -> Contract:
    """Return the newest committed version of `<name>-value`: the reader schema of every job over it."""
    return history(name)[-1]


def _canonical(file: Traversable) -> str:
    """Return the schema in the file as canonical JSON. The registry checks everything but its outer form."""
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"contract {file} cannot be read: {error}", "correct the file") from None
    fields = schema.get("fields") if isinstance(schema, dict) and schema.get("type") == "record" else None
    if not isinstance(fields, list) or not all(
        isinstance(each, dict) and {"name", "type"} <= each.keys() for each in fields
    ):
        raise BadInput(f"contract {file} is no Avro record with fields that have a name and a type", "correct the file")
    return json.dumps(schema, separators=(",", ":"))


def _files() -> Iterator[tuple[str, int, Traversable]]:
    """Return subject, version and file of every contract. Raises ConfigError if two packages have the same subject."""
    ours = list(_in_folder(resources.files("schemas")))
    yield from ours
    taken: dict[str, str] = {}
    for package, own in project.folders("schemas").items():
        theirs = list(_in_folder(own))
        for subject, _version, file in theirs:
            if subject in {each for each, *_ in ours}:
                raise ConfigError(f"{own}/{file.name} is for a subject of adstream's own", "give it another name")
            if subject in taken:
                raise ConfigError(f"{own}/{file.name} is for a subject of {taken[subject]}", "give it another name")
        taken |= {subject: package for subject, *_ in theirs}
        yield from theirs


def _in_folder(folder: Traversable) -> Iterator[tuple[str, int, Traversable]]:
    for entry in folder.iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            yield match["subject"], int(match["version"]), entry
