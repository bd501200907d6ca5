"""Avro's schema resolution in plain Python: read a message of any writer's schema into the contract's fields.

`resolve` compares the schemas once, and returns a Resolution that reads messages. `adstream verify`, `explain` and
`replay` use it.
"""

from dataclasses import dataclass
from typing import Any

from common import reasons
from common.avro.binary import Malformed
from common.avro.schema_types import SchemaProblem, Type, may_be_empty, parse, refuse_vast, within
from common.avro.single_values import Unfit, Unresolvable, differ
from common.avro.skipping import read_branch
from common.avro.values import Record, reading_record

__all__ = ["Reading", "Resolution", "Span", "Unreadable", "Unresolvable", "resolve"]


class Unreadable(Exception):
    """An unreadable message: the `reason` of its dead letter, at byte `at`, in the writer's `field`.

    `spans` are the fields before `at`. With `whole` they are all fields, and the message ends correctly. Its bytes are
    then intact, but the contract does not accept a value.
    """

    def __init__(self, reason: str, name: str, at: int, problem: str, spans: list["Span"], *, whole: bool) -> None:
        super().__init__(problem)
        self.reason, self.field, self.at, self.problem, self.spans, self.whole = reason, name, at, problem, spans, whole


@dataclass(frozen=True)
class Span:
    """The bytes [start, end) of a writer's field in a message.

    `target` is the contract's field of the same meaning, if any.
    """

    name: str
    start: int
    end: int
    type: Type
    target: str | None


@dataclass(frozen=True)
class Reading:
    """A message that can be read: the contract's fields as plain values, event times in milliseconds, and the spans."""

    event: dict[str, Any]
    spans: list[Span]


@dataclass(frozen=True)
class Resolution:
    """Reads the messages of one writer's schema; `writer` is that schema as a tree."""

    writer: Type
    records: list[Record | str]

    def read(self, value: bytes, start: int = 0) -> Reading:
        """Read the event that begins at `start` and must end with the value. Raises Unreadable."""
        spans: list[Span] = []
        at, name = start, ""
        event: dict[str, Any] = {}
        unfit: tuple[str, int, str] | None = None
        try:
            record, at = self._record(value, at)
            event |= record.defaults
            for step in record.steps:
                name, end = step.name, at
                try:
                    found, end = step.read(value, at)
                    if step.target is not None:
                        event[step.target] = found
                except Unfit as problem:
                    unfit, end = unfit or (name, at, problem.problem), problem.end
                spans.append(Span(name, at, end, step.type, step.target))
                at = end
        except Malformed as problem:
            name, at, words = unfit or (name, at, str(problem))
            raise Unreadable(reasons.UNDECODABLE, name, at, words, spans, whole=False) from None
        if unfit is not None:
            raise Unreadable(reasons.UNDECODABLE, *unfit, spans, whole=at == len(value))
        if at < len(value):
            left = f"{len(value) - at} bytes follow the event, which ends at byte {at}"
            raise Unreadable(reasons.TRAILING_BYTES, "", at, left, spans, whole=False)
        return Reading(event, spans)

    def _record(self, value: bytes, at: int) -> tuple[Record, int]:
        index = 0
        if self.writer.kind == "union":
            index, at = read_branch(value, at, len(self.records))
        found = self.records[index]
        if isinstance(found, str):
            raise Malformed(found)
        return found, at


def resolve(writer: Any, reader: Any) -> Resolution:  # noqa: ANN401 - Avro schemas are JSON
    """Resolve the schema `writer` to the record `reader`; both are parsed JSON.

    Raises Unresolvable, and nothing else, for every `writer`.
    """
    try:
        written, wanted = parse(writer), parse(reader)
        for each in within(written):
            if each.recursive:
                raise Unresolvable(f"the writer's {each.name} can hold itself", reasons.RECURSIVE_SCHEMA)
        refuse_vast(written)
    except SchemaProblem as problem:
        raise Unresolvable(f"the writer's schema {problem}") from None
    if any(each.kind == "array" and may_be_empty(each.parts[0]) for each in within(written)):
        # A count alone would keep a decoder busy for ever.
        raise Unresolvable("the writer has an array of items that take no bytes")
    if written.kind != "union":
        return Resolution(written, [reading_record(written, wanted, "")])
    return Resolution(written, _branches(written, wanted))


def _branches(written: Type, wanted: Type) -> list[Record | str]:
    """Return for each branch a function that reads it, or the reason why none can.

    A branch with the contract's name is the event itself.
    """
    names = {name.rpartition(".")[2] for name in (wanted.name, *wanted.aliases)}
    named = [branch for branch in written.parts if branch.kind == "record" and branch.short_name in names]
    records: list[Record | str] = []
    problems = []
    for branch in written.parts:
        if named and branch not in named:
            records.append(f"the message is {branch}, and the contract {wanted}")
            continue
        try:
            records.append(reading_record(branch, wanted, ""))
        except Unresolvable as problem:
            records.append(problem.problem)
            problems.append(problem.problem)
    if not any(isinstance(each, Record) for each in records):
        raise Unresolvable(problems[0] if len(problems) == 1 else differ(written, wanted, ""))
    return records
