"""Read values of a writer's types as values of the contract's types, by Avro's schema resolution.

Each function compares two types once, and returns a function that reads. The rules come from the Avro 1.12
specification, "Schema Resolution", and from Apache Avro's Java library, which the job decodes with. Annotations are
stricter here. A time in microseconds or nanoseconds is converted to the contract's milliseconds. Any other annotation
that differs is refused, because the same number then has another meaning.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common.avro import binary
from common.avro.schema_types import Field, Type
from common.avro.single_values import (
    PLAIN,
    PROMOTED,
    TEXTS,
    Read,
    Unfit,
    Unresolvable,
    blocks,
    differ,
    enum,
    fixed,
    in_millis,
    promoted,
    same_meaning,
)
from common.avro.skipping import read_branch, skipping

# At most this many texts outside the contract are checked in an event: the first ones. Each check makes the job's plan
# larger, for every writer.
MOST_TEXTS = 8
_TEXT_OR_NULL = Type("union", parts=[Type("null"), Type("string")])


@dataclass(frozen=True)
class Step:
    """A writer's field: its reader, and the contract's field that it fills, if any.

    With `text` the contract lacks the field, but its text must be UTF-8 anyway.
    """

    name: str
    type: Type
    target: str | None
    read: Read
    text: bool = False


@dataclass(frozen=True)
class Record:
    """Reads a writer's record as the contract's: its fields in order, and the fields that the writer lacks."""

    steps: list[Step]
    defaults: dict[str, Any] = field(default_factory=dict)

    def read(self, data: bytes, at: int) -> tuple[dict[str, Any], int]:
        event, unfit = dict(self.defaults), None
        for step in self.steps:
            try:
                value, at = step.read(data, at)
            except Unfit as problem:
                unfit, at = unfit or problem, problem.end
                continue
            if step.target is not None:
                event[step.target] = value
        if unfit is not None:
            raise Unfit(unfit.problem, at)
        return event, at


def reading_record(written: Type, wanted: Type, at: str) -> Record:
    """Return the reader of a writer's record as the contract's record. `at` is its path. Raises Unresolvable."""
    if written.kind != "record" or wanted.kind != "record":
        raise Unresolvable(differ(written, wanted, at))
    # Aliases of fields count only for a record with the contract's name or one of its aliases, as in Avro's Java
    # library.
    aliased = written.name in (wanted.name, *wanted.aliases)
    sources = {each.name: each for each in written.fields}
    targets: dict[str, Field] = {}
    defaults = {}
    for each in wanted.fields:
        names = (each.name, *each.aliases) if aliased else (each.name,)
        source = next((name for name in names if name in sources), None)
        if source is not None:
            targets[source] = each
        elif each.has_default:
            defaults[each.name] = _default(each.type, each.default)
        else:
            raise Unresolvable(_missing(each.name, sources, at))
    steps: list[Step] = []
    for own in written.fields:
        target = targets.get(own.name)
        if target is None:
            text = not at and _holds_text(own.type) and sum(step.text for step in steps) < MOST_TEXTS
            steps.append(Step(own.name, own.type, None, _dropping(own.type, text=text), text))
        else:
            steps.append(Step(own.name, own.type, target.name, _reading(own.type, target.type, f"{at}{own.name}")))
    return Record(steps, defaults)


def _missing(name: str, sources: dict[str, Field], at: str) -> str:
    alike = next((each for each in sources if each.lower() == name.lower()), None)
    hint = f" (it has {at}{alike}: capitals count)" if alike else ""
    return f"the writer has no {at}{name}, which the contract requires{hint}"


def _holds_text(kind: Type) -> bool:
    """Return whether the type is text, or text or null."""
    return {branch.kind for branch in (kind.parts if kind.kind == "union" else [kind])} - {"null"} == {"string"}


def _dropping(kind: Type, *, text: bool) -> Read:
    """Return a function that skips a field outside the contract.

    With `text` the function also checks for UTF-8, because invalid text shows corruption.
    """
    if not text:
        skip = skipping(kind)
        return lambda data, position: (None, skip(data, position))
    read_text = _reading(kind, _TEXT_OR_NULL, "")

    def read(data: bytes, position: int) -> tuple[Any, int]:
        found, end = read_text(data, position)
        if found is not None and not found.isascii() and any("\udc80" <= each <= "\udcff" for each in found):
            raise Unfit("it is text that is not UTF-8", end)
        return None, end

    return read


def _reading(written: Type, wanted: Type, at: str) -> Read:
    """Return the reader of a value. A writer's union gets a reader for each branch.

    Raises Unresolvable if there is none.
    """
    if written.kind != "union":
        return _value(written, wanted, at)
    reads: list[Read] = []
    good = 0
    for branch in written.parts:
        try:
            reads.append(_value(branch, wanted, at))
            good += 1
        except Unresolvable:
            reads.append(_unfit(branch, wanted))
    if not good:
        raise Unresolvable(differ(written, wanted, at))

    def read(data: bytes, position: int) -> tuple[Any, int]:
        index, position = read_branch(data, position, len(reads))
        return reads[index](data, position)

    return read


def _unfit(branch: Type, wanted: Type) -> Read:
    skip, problem = skipping(branch), f"it is {branch}, and the contract wants {wanted}"

    def read(data: bytes, at: int) -> tuple[Any, int]:
        raise Unfit(problem, skip(data, at))

    return read


def _value(written: Type, wanted: Type, at: str) -> Read:
    if wanted.kind == "union":
        return _value(written, _branch_for(written, wanted, at), at)
    same_meaning(written, wanted, at)
    if written.kind == wanted.kind:
        if written.kind in _NESTED:
            return _NESTED[written.kind](written, wanted, at)
        return in_millis(written, wanted) or PLAIN[written.kind]
    if wanted.kind in PROMOTED.get(written.kind, ()):
        return promoted(written, wanted)
    if written.kind in TEXTS and wanted.kind in TEXTS:
        return PLAIN[wanted.kind]
    raise Unresolvable(differ(written, wanted, at))


def _branch_for(written: Type, wanted: Type, at: str) -> Type:
    """Return the contract's branch of the same type, by name for named types; else the first promotion."""
    same = [branch for branch in wanted.parts if branch.kind == written.kind]
    same.sort(key=lambda branch: (branch.name != written.name, branch.short_name != written.short_name))
    other = [
        branch
        for branch in wanted.parts
        if branch.kind in PROMOTED.get(written.kind, ()) or {branch.kind, written.kind} == set(TEXTS)
    ]
    for branch in (*same, *other):
        try:
            _value(written, branch, at)
        except Unresolvable:
            continue
        return branch
    raise Unresolvable(differ(written, wanted, at))


def _nested(written: Type, wanted: Type, at: str) -> Read:
    return reading_record(written, wanted, f"{at}.").read


def _array(written: Type, wanted: Type, at: str) -> Read:
    return blocks(_reading(written.parts[0], wanted.parts[0], at), list)


def _map(written: Type, wanted: Type, at: str) -> Read:
    item = _reading(written.parts[0], wanted.parts[0], at)

    def entry(data: bytes, position: int) -> tuple[tuple[str, Any], int]:
        key, position = binary.read_string(data, position)
        value, position = item(data, position)
        return (key, value), position

    return blocks(entry, dict)


_NESTED: dict[str, Callable[[Type, Type, str], Read]] = {
    "record": _nested, "enum": enum, "fixed": fixed, "array": _array, "map": _map,
}  # fmt: skip


def _default(kind: Type, given: Any) -> Any:  # noqa: ANN401 - any JSON value, any Avro value
    """Return the contract's default, which is JSON, as a plain value."""
    match kind.kind:
        case "union":
            return _default(kind.parts[0], given) if given is not None else None
        case "bytes" | "fixed":
            return str(given).encode("iso-8859-1")
        case "float" | "double":
            return float(given)
        case "array":
            return [_default(kind.parts[0], each) for each in given]
        case "map":
            return {name: _default(kind.parts[0], each) for name, each in given.items()}
        case "record":
            return {each.name: _default(each.type, given.get(each.name, each.default)) for each in kind.fields}
    return given
