"""How values of a writer's types are read as values of the contract's: Avro's resolution of one type to another.

Each function compares two types once, and returns a function that reads. The rules are those of the Avro 1.12
specification, "Schema Resolution", and of Apache Avro's Java library, with which the job decodes. Annotations go
further than there: a time in microseconds or nanoseconds is converted to the contract's milliseconds. Any other
annotation that differs is refused, since the same number then means something else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common import reasons
from common.avro import binary
from common.avro.binary import Malformed
from common.avro.schema_types import Field, Type
from common.avro.skipping import read_branch, skipping

Read = Callable[[bytes, int], tuple[Any, int]]
# Milliseconds in 64 bits of microseconds, which is how Spark keeps a time.
LAST_MILLI = (2**63 - 1) // 1_000
# Finer units of time than the contracts', and how many of each make a millisecond.
TO_MILLIS = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
_PROMOTED = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",)}
_TEXTS = ("string", "bytes")
# Of the texts in an event that the contract does not have, so many are looked at, the first ones: each costs the job's
# plan something for every writer.
MOST_TEXTS = 8
_TEXT_OR_NULL = Type("union", parts=[Type("null"), Type("string")])


class Unresolvable(Exception):
    """No message of the writer's schema can be read by the contract; `problem` says why in half a sentence.

    `reason` is that of the dead letters.
    """

    def __init__(self, problem: str, reason: str = reasons.INCOMPATIBLE_SCHEMA) -> None:
        super().__init__(problem)
        self.problem = problem
        self.reason = reason


class Unfit(Exception):
    """A well-encoded value that the contract does not take; `end` is the position behind it."""

    def __init__(self, problem: str, end: int) -> None:
        super().__init__(problem)
        self.problem, self.end = problem, end


@dataclass(frozen=True)
class Step:
    """A writer's field: how it is read, and as which field of the contract, if as any.

    `text` says that the contract does not have the field, and that its text must be UTF-8 all the same.
    """

    name: str
    type: Type
    target: str | None
    read: Read
    text: bool = False


@dataclass(frozen=True)
class Record:
    """How one record of the writer's is read into the contract's: its fields in order, and what the writer lacks."""

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
    """How a record is read as one of the contract's, which is at the path `at`. Raises Unresolvable."""
    if written.kind != "record" or wanted.kind != "record":
        raise Unresolvable(differ(written, wanted, at))
    # As in Avro's Java library: the aliases of fields count for a writer's record of the same name, or of an alias.
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
    """Whether the type is text, or text or null."""
    return {branch.kind for branch in (kind.parts if kind.kind == "union" else [kind])} - {"null"} == {"string"}


def _dropping(kind: Type, *, text: bool) -> Read:
    """Passes over a field that the contract does not have. Its `text` is looked at, since it shows corruption."""
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
    """How a value is read; for a writer's union branch by branch. Raises Unresolvable where none can be."""
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
    _same_meaning(written, wanted, at)
    if written.kind == wanted.kind:
        if written.kind in _NESTED:
            return _NESTED[written.kind](written, wanted, at)
        return _in_millis(written, wanted) or _PLAIN[written.kind]
    if wanted.kind in _PROMOTED.get(written.kind, ()):
        return _promoted(written, wanted)
    if written.kind in _TEXTS and wanted.kind in _TEXTS:
        return _PLAIN[wanted.kind]
    raise Unresolvable(differ(written, wanted, at))


def _same_meaning(written: Type, wanted: Type, at: str) -> None:
    """Refuses an annotation that is not the contract's: the same value would mean something else."""
    if written.logical in ("", wanted.logical) or (written.logical == "uuid" and wanted.kind == "string"):
        return
    if wanted.logical == "timestamp-millis" and written.logical in TO_MILLIS:
        return
    raise Unresolvable(differ(written, wanted, at))


def _branch_for(written: Type, wanted: Type, at: str) -> Type:
    """The contract's branch: of the same type, named types by their name first; else the first that it promotes to."""
    same = [branch for branch in wanted.parts if branch.kind == written.kind]
    same.sort(key=lambda branch: (branch.name != written.name, branch.short_name != written.short_name))
    other = [
        branch
        for branch in wanted.parts
        if branch.kind in _PROMOTED.get(written.kind, ()) or {branch.kind, written.kind} == set(_TEXTS)
    ]
    for branch in (*same, *other):
        try:
            _value(written, branch, at)
        except Unresolvable:
            continue
        return branch
    raise Unresolvable(differ(written, wanted, at))


def _in_millis(written: Type, wanted: Type) -> Read | None:
    if wanted.logical != "timestamp-millis":
        return None
    unit = TO_MILLIS.get(written.logical, 1)

    def read(data: bytes, at: int) -> tuple[int, int]:
        number, end = binary.read_long(data, at)
        number //= unit
        if abs(number) > LAST_MILLI:
            raise Unfit(f"it is {number} ms, which is beyond the calendar", end)
        return number, end

    return read


def _promoted(written: Type, wanted: Type) -> Read:
    """A number as one of the contract's larger type. The job reads an int as a long, so that nothing is cut."""
    converts: dict[str, Callable[[Any], Any]] = {"float": binary.as_float32, "double": float, "long": int}
    read = binary.read_long if written.kind == "int" else _PLAIN[written.kind]
    convert = converts[wanted.kind]

    def promoted(data: bytes, at: int) -> tuple[Any, int]:
        number, end = read(data, at)
        return convert(number), end

    return promoted


def _nested(written: Type, wanted: Type, at: str) -> Read:
    return reading_record(written, wanted, f"{at}.").read


def _enum(written: Type, wanted: Type, at: str) -> Read:
    if written.short_name != wanted.short_name:
        raise Unresolvable(differ(written, wanted, at))
    symbols = [each if each in wanted.symbols else wanted.default for each in written.symbols]

    def read(data: bytes, position: int) -> tuple[str, int]:
        index, end = binary.read_int(data, position)
        if not 0 <= index < len(symbols):
            raise Malformed(f"there is no symbol {index} in its enum of {len(symbols)}")
        symbol = symbols[index]
        if symbol is None:
            raise Unfit(f"it is {written.symbols[index]}, which the contract's {wanted.name} does not have", end)
        return symbol, end

    return read


def _fixed(written: Type, wanted: Type, at: str) -> Read:
    if (written.short_name, written.size) != (wanted.short_name, wanted.size):
        raise Unresolvable(differ(written, wanted, at))

    def read(data: bytes, position: int) -> tuple[bytes, int]:
        end = binary.after(data, position, written.size)
        return data[position:end], end

    return read


def _array(written: Type, wanted: Type, at: str) -> Read:
    return blocks(_reading(written.parts[0], wanted.parts[0], at), list)


def _map(written: Type, wanted: Type, at: str) -> Read:
    item = _reading(written.parts[0], wanted.parts[0], at)

    def entry(data: bytes, position: int) -> tuple[tuple[str, Any], int]:
        key, position = binary.read_string(data, position)
        value, position = item(data, position)
        return (key, value), position

    return blocks(entry, dict)


def blocks(item: Read, made: Callable[[list[Any]], Any]) -> Read:
    """The items of an array or a map, in blocks. The size that follows a count below zero says nothing new."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        found: list[Any] = []
        unfit = None
        while True:
            count, at = binary.read_long(data, at)
            if count == 0:
                break
            if count < 0:
                count, at = -count, binary.read_long(data, at)[1]
            if len(found) + count > binary.LONGEST:
                raise Malformed(f"it has {len(found) + count:,} items, and at most {binary.LONGEST:,} are read")
            for _ in range(count):
                try:
                    value, at = item(data, at)
                except Unfit as problem:
                    value, unfit, at = None, unfit or problem, problem.end
                found.append(value)
        if unfit is not None:
            raise Unfit(unfit.problem, at)
        return made(found), at

    return read


_PLAIN: dict[str, Read] = {
    "null": lambda _data, at: (None, at),
    "boolean": binary.read_boolean,
    "int": binary.read_int32,
    "long": binary.read_long,
    "float": binary.read_float,
    "double": binary.read_double,
    "string": binary.read_string,
    "bytes": binary.read_bytes,
}
_NESTED: dict[str, Callable[[Type, Type, str], Read]] = {
    "record": _nested, "enum": _enum, "fixed": _fixed, "array": _array, "map": _map,
}  # fmt: skip


def _default(kind: Type, given: Any) -> Any:  # noqa: ANN401 - any JSON value, any Avro value
    """The contract's default, JSON, as a plain value."""
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


def differ(written: Type, wanted: Type, at: str) -> str:
    """Says that the types at a path are not the same."""
    words = str(written), str(wanted)
    if words[0] == words[1]:
        words = written.logical or words[0], wanted.logical or words[1]
    return f"the writer's {at or 'schema'} is {words[0]}, the contract's {words[1]}"
