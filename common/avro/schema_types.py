"""Avro schemas as trees of types: names are resolved, and only annotations of the specification are kept.

Source: the Avro 1.12 specification, "Schema Declaration", "Names" and "Logical Types". Both the specification and this
module ignore an annotation that is unknown, or on a type that it does not belong to.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PRIMITIVES = frozenset(("null", "boolean", "int", "long", "float", "double", "string", "bytes"))
# Deeper schemas are refused: each level takes stack, here and in the job. A schema is also refused if it gets too large
# when each reference is replaced by its type. A few lines can double the size with each level.
MOST_LEVELS = 64
MOST_TYPES = 10_000
_ANNOTATIONS = {
    "int": ("date", "time-millis"),
    "long": (
        "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos",
        "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos",
    ),
    "string": ("uuid",),
    "bytes": ("decimal", "big-decimal"),
    "fixed": ("decimal", "duration", "uuid"),
}  # fmt: skip
_SIZES = {"duration": 12, "uuid": 16}


class SchemaProblem(ValueError):
    """The reason why a schema cannot be used: the end of a sentence that begins with "the writer's schema ..."."""


@dataclass(frozen=True)
class Field:
    """A record's field; `default` is JSON, and counts if `has_default`."""

    name: str
    type: "Type"
    aliases: tuple[str, ...] = ()
    has_default: bool = False
    default: Any = None


@dataclass(eq=False)
class Type:
    """One type. `name` is a full name, `parts` are the items of an array or a map, or the branches of a union.

    `logical` is the annotation, with precision and scale for a decimal. `recursive` says that a record can hold itself.
    """

    kind: str
    name: str = ""
    logical: str = ""
    aliases: tuple[str, ...] = ()
    fields: list[Field] = field(default_factory=list)
    parts: list["Type"] = field(default_factory=list)
    symbols: tuple[str, ...] = ()
    default: str | None = None
    size: int = 0
    recursive: bool = False

    def __str__(self) -> str:
        """Return text like `a long (timestamp-millis)`, `null or a string`, `a record adstream.AdEvent`."""
        if self.kind == "union":
            return " or ".join(str(branch) for branch in self.parts) or "a union of nothing"
        article = {"null": "", "bytes": "", "int": "an ", "array": "an ", "enum": "an "}.get(self.kind, "a ")
        named = f" {self.name}" if self.kind in ("record", "enum", "fixed") else ""
        logical = self.logical.partition("(")[0]
        return f"{article}{self.kind}{named}{f' ({logical})' if logical else ''}"

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]


def parse(schema: Any) -> Type:  # noqa: ANN401 - Avro schemas are JSON
    """Return the type that an Avro schema, given as parsed JSON, declares. Raises SchemaProblem, and nothing else."""
    try:
        return _Parser().type_of(schema, "", 0)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SchemaProblem(f"cannot be read ({type(error).__name__}: {error})") from None


def from_text(text: str) -> Any:  # noqa: ANN401
    """Parse the schema's JSON. Returns None for other text, for example a Protobuf schema."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def within(kind: Type) -> Iterator[Type]:
    """Yield the type itself, and all types inside it, each once."""
    seen: set[int] = set()
    waiting = [kind]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [*found.parts, *(each.type for each in found.fields)]


def refuse_vast(kind: Type) -> None:
    """Raise SchemaProblem for too many levels, or too many types once references are replaced.

    The type must not be recursive.
    """
    known: dict[int, tuple[int, int]] = {}

    def extent(part: Type) -> tuple[int, int]:
        if id(part) not in known:
            inner = [extent(each) for each in (*part.parts, *(each.type for each in part.fields))]
            known[id(part)] = 1 + sum(types for types, _ in inner), 1 + max((levels for _, levels in inner), default=0)
        return known[id(part)]

    try:
        types, levels = extent(kind)
    except RecursionError:
        types, levels = 0, MOST_LEVELS + 1
    if levels > MOST_LEVELS:
        raise SchemaProblem(f"is nested more than {MOST_LEVELS} levels deep")
    if types > MOST_TYPES:
        raise SchemaProblem(f"has more than {MOST_TYPES:,} types")


def may_be_empty(kind: Type) -> bool:
    """Return whether a value may take no bytes at all. Not for recursive types."""
    match kind.kind:
        case "null":
            return True
        case "fixed":
            return kind.size == 0
        case "record":
            return all(may_be_empty(each.type) for each in kind.fields)
    return False


class _Parser:
    def __init__(self) -> None:
        self._named: dict[str, Type] = {}
        self._open: list[Type] = []

    def type_of(self, schema: Any, namespace: str, level: int) -> Type:  # noqa: ANN401
        if level > MOST_LEVELS:
            raise SchemaProblem(f"is nested more than {MOST_LEVELS} levels deep")
        if schema is None:
            raise SchemaProblem("is no JSON")
        if isinstance(schema, str):
            return Type(schema) if schema in PRIMITIVES else self._reference(schema, namespace)
        if isinstance(schema, list):
            return _union([self.type_of(each, namespace, level + 1) for each in schema])
        kind = schema.get("type") if isinstance(schema, dict) else None
        if not isinstance(kind, str):
            raise SchemaProblem(f"declares no type ({str(schema)[:60]})")
        if kind in PRIMITIVES:
            return Type(kind, logical=_annotation(schema, kind, 0))
        if kind in ("array", "map"):
            inner = schema["items" if kind == "array" else "values"]
            return Type(kind, parts=[self.type_of(inner, namespace, level + 1)])
        if kind in ("record", "error", "enum", "fixed"):
            return self._declared(schema, namespace, level)
        return self._reference(kind, namespace)

    def _declared(self, schema: dict[str, Any], namespace: str, level: int) -> Type:
        name = _full(schema["name"], schema.get("namespace", namespace))
        if name in PRIMITIVES:
            raise SchemaProblem(f"calls a type {name}")
        if name in self._named:
            raise SchemaProblem(f"declares {name} twice")
        own = name.rpartition(".")[0]
        aliases = tuple(_full(alias, own) for alias in schema.get("aliases", ()))
        for each in (name, *aliases):
            _named_well(*each.split("."))
        declared = Type("record" if schema["type"] == "error" else schema["type"], name, aliases=aliases)
        self._named[name] = declared
        {"enum": self._enum, "fixed": self._fixed, "record": self._record}[declared.kind](declared, schema, level)
        return declared

    def _enum(self, declared: Type, schema: dict[str, Any], _level: int) -> None:
        declared.symbols, declared.default = tuple(schema["symbols"]), schema.get("default")
        _named_well(*declared.symbols)
        if len(set(declared.symbols)) < len(declared.symbols):
            raise SchemaProblem(f"gives {declared.name} a symbol twice")
        if declared.default is not None and declared.default not in declared.symbols:
            raise SchemaProblem(f"gives {declared.name} the default {declared.default!r}, which is none of its symbols")

    def _fixed(self, declared: Type, schema: dict[str, Any], _level: int) -> None:
        declared.size = schema["size"]
        if not isinstance(declared.size, int) or declared.size < 0:
            raise SchemaProblem(f"gives {declared.name} the size {declared.size!r}")
        declared.logical = _annotation(schema, "fixed", declared.size)

    def _record(self, declared: Type, schema: dict[str, Any], level: int) -> None:
        if not isinstance(schema["fields"], list):
            raise SchemaProblem(f"gives {declared.name} no list of fields")
        self._open.append(declared)
        own = declared.name.rpartition(".")[0]
        declared.fields = [self._field(each, own, level) for each in schema["fields"]]
        self._open.pop()
        names = [each.name for each in declared.fields]
        if len(set(names)) < len(names):
            raise SchemaProblem(f"gives two fields of {declared.name} the same name")

    def _field(self, each: dict[str, Any], namespace: str, level: int) -> Field:
        kind = self.type_of(each["type"], namespace, level + 1)
        if not isinstance(each["name"], str):
            raise SchemaProblem(f"has a field of the name {each['name']!r}")
        _named_well(each["name"])
        if str(each.get("order", "ignore")).lower() not in ("ascending", "descending", "ignore"):
            raise SchemaProblem(f"gives {each['name']} the order {each['order']!r}")
        return Field(each["name"], kind, tuple(each.get("aliases", ())), "default" in each, each.get("default"))

    def _reference(self, name: str, namespace: str) -> Type:
        found = self._named.get(_full(name, namespace)) or self._named.get(name)
        if found is None:
            raise SchemaProblem(f"refers to {name}, which it does not declare")
        if found in self._open:
            found.recursive = True
        return found


def _union(branches: list[Type]) -> Type:
    kinds = [branch.name or branch.kind for branch in branches]
    if "union" in kinds:
        raise SchemaProblem("has a union in a union")
    if len(set(kinds)) < len(kinds):
        raise SchemaProblem(f"has a union of two that are alike ({', '.join(kinds)[:60]})")
    return Type("union", parts=branches)


def _named_well(*names: str) -> None:
    """Return whether a name has only letters, digits and underscores, and no digit first.

    The job reads schemas with Java's library, which requires this.
    """
    for name in names:
        letters = name.replace("_", "a")
        if not (letters[:1].isalpha() and all(char.isalpha() or char.isdecimal() for char in letters)):
            raise SchemaProblem(f"has the name {name[:60]!r}, which Avro does not allow")


def _full(name: str, namespace: str | None) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _annotation(schema: dict[str, Any], kind: str, size: int) -> str:
    """Return the annotation that counts; empty if there is none, or if Avro ignores it."""
    logical = schema.get("logicalType")
    if not isinstance(logical, str) or logical not in _ANNOTATIONS.get(kind, ()):
        return ""
    if kind == "fixed" and _SIZES.get(logical, size) != size:
        return ""
    if logical != "decimal":
        return logical
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    most = math.floor(math.log10(2) * (8 * size - 1)) if kind == "fixed" and size else math.inf
    if not (
        isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision and 0 < precision <= most
    ):
        return ""
    return f"decimal({precision},{scale})"


def without_annotations(schema: Any) -> Any:  # noqa: ANN401 - Avro schemas are JSON: str, list or dict
    """Return the schema without logical types: every value is read and written as stored."""
    if isinstance(schema, dict):
        return {name: without_annotations(part) for name, part in schema.items() if name != "logicalType"}
    return [without_annotations(part) for part in schema] if isinstance(schema, list) else schema
