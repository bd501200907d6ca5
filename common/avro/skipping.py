"""Skip values of a writer's schema as Apache Avro's Java decoder does: only a value's end matters.

Contents that no reader wants are not judged. An enum's symbol may be unknown, and a nested text may not be UTF-8. An
array or a map in blocks with a negative count is skipped by the size that each block states.
"""

from collections.abc import Callable

from common.avro import binary
from common.avro.binary import Malformed
from common.avro.schema_types import Type

Skip = Callable[[bytes, int], int]


def skipping(kind: Type) -> Skip:
    """Return a function that takes bytes and the position of a value, and returns the value's end.

    The type must not be recursive. The function raises Malformed.
    """
    if kind.kind == "record":
        return _record([skipping(each.type) for each in kind.fields])
    if kind.kind == "union":
        return _union([skipping(branch) for branch in kind.parts])
    if kind.kind == "array":
        return _blocks(skipping(kind.parts[0]))
    if kind.kind == "map":
        return _blocks(_record([binary.skip_bytes, skipping(kind.parts[0])]))
    if kind.kind == "fixed":
        return lambda data, at: binary.after(data, at, kind.size)
    return _SIMPLE[kind.kind]


def read_branch(data: bytes, at: int, branches: int) -> tuple[int, int]:
    """Return the index of a union's branch, and the position behind it."""
    index, end = binary.read_int(data, at)
    if not 0 <= index < branches:
        raise Malformed(f"there is no branch {index} in its union of {branches}")
    return index, end


_SIMPLE: dict[str, Skip] = {
    "null": lambda _data, at: at,
    "boolean": lambda data, at: binary.after(data, at, 1),
    "int": lambda data, at: binary.read_int(data, at)[1],
    "enum": lambda data, at: binary.read_int(data, at)[1],
    "long": lambda data, at: binary.read_long(data, at)[1],
    "float": lambda data, at: binary.after(data, at, 4),
    "double": lambda data, at: binary.after(data, at, 8),
    "string": binary.skip_bytes,
    "bytes": binary.skip_bytes,
}


def _record(parts: list[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        for part in parts:
            at = part(data, at)
        return at

    return skip


def _union(branches: list[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        index, at = read_branch(data, at, len(branches))
        return branches[index](data, at)

    return skip


def _blocks(item: Skip) -> Skip:
    def skip(data: bytes, at: int) -> int:
        while True:
            count, at = binary.read_long(data, at)
            if count == 0:
                return at
            if count < 0:
                at = binary.skip_bytes(data, at)
                continue
            # Each item takes a byte or more, so a false count ends with the bytes.
            for _ in range(count):
                at = item(data, at)

    return skip
