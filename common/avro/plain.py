"""Decode any value of a writer's schema as stored: numbers, text, bytes, lists and dicts, without annotations."""

from typing import Any

from common.avro import binary
from common.avro.binary import Malformed
from common.avro.schema_types import Type
from common.avro.single_values import PLAIN, Read, blocks
from common.avro.skipping import read_branch


class PlainReader:
    """Reads values of one type, which may be recursive, from bytes at a position. Raises Malformed, nothing else."""

    def __init__(self, kind: Type) -> None:
        self._records: dict[int, Read] = {}
        self._read = self._of(kind)

    def __call__(self, data: bytes, at: int) -> tuple[Any, int]:
        try:
            return self._read(data, at)
        except RecursionError:
            raise Malformed("it is nested too deep") from None

    def _of(self, kind: Type) -> Read:
        if kind.kind == "record":
            return self._record(kind)
        parts = [self._of(part) for part in kind.parts]
        match kind.kind:
            case "union":
                return lambda data, at: _branch(parts, data, at)
            case "array":
                return blocks(parts[0], list)
            case "map":
                return blocks(_entry(parts[0]), dict)
            case "enum":
                return lambda data, at: _symbol(kind.symbols, data, at)
            case "fixed":
                return lambda data, at: _cut(data, at, binary.after(data, at, kind.size))
        return _SIMPLE[kind.kind]

    def _record(self, kind: Type) -> Read:
        if id(kind) not in self._records:
            # A record that holds itself finds this function while its fields are still being built.
            self._records[id(kind)] = lambda data, at: read(data, at)
            fields = [(each.name, self._of(each.type)) for each in kind.fields]

            def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
                value = {}
                for name, part in fields:
                    value[name], at = part(data, at)
                return value, at

        return self._records[id(kind)]


def _branch(parts: list[Read], data: bytes, at: int) -> tuple[Any, int]:
    index, at = read_branch(data, at, len(parts))
    return parts[index](data, at)


def _symbol(symbols: tuple[str, ...], data: bytes, at: int) -> tuple[str, int]:
    index, end = binary.read_int(data, at)
    if not 0 <= index < len(symbols):
        raise Malformed(f"there is no symbol {index} in its enum of {len(symbols)}")
    return symbols[index], end


def _entry(part: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[tuple[str, Any], int]:
        key, at = _text(data, at)
        value, at = part(data, at)
        return (key, value), at

    return read


def _cut(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    return data[at:end], end


def _text(data: bytes, at: int) -> tuple[str, int]:
    value, end = binary.read_any_bytes(data, at)
    return value.decode(errors="surrogateescape"), end


_SIMPLE: dict[str, Read] = PLAIN | {"string": _text, "bytes": binary.read_any_bytes}
