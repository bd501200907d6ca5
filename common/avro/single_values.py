"""Read simple values as the contract's types: numbers, times, texts, enums, and blocks of items."""

from collections.abc import Callable
from typing import Any

from common import reasons
from common.avro import binary
from common.avro.binary import Malformed
from common.avro.schema_types import Type

Read = Callable[[bytes, int], tuple[Any, int]]
# Milliseconds in 64 bits of microseconds, which is how Spark keeps a time.
LAST_MILLI = (2**63 - 1) // 1_000
# Finer units of time than the contracts', and how many of each make a millisecond.
TO_MILLIS = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
PROMOTED = {"int": ("long", "float", "double"), "long": ("float", "double"), "float": ("double",)}
TEXTS = ("string", "bytes")


class Unresolvable(Exception):
    """The contract can read no message of the writer's schema; `problem` says why, in half a sentence.

    `reason` is the reason of the dead letters.
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


def differ(written: Type, wanted: Type, at: str) -> str:
    """Describe the difference of two types at a path."""
    words = str(written), str(wanted)
    if words[0] == words[1]:
        words = written.logical or words[0], wanted.logical or words[1]
    return f"the writer's {at or 'schema'} is {words[0]}, the contract's {words[1]}"


def same_meaning(written: Type, wanted: Type, at: str) -> None:
    """Refuse an annotation that differs from the contract's: the same value would mean something else."""
    if written.logical in ("", wanted.logical) or (written.logical == "uuid" and wanted.kind == "string"):
        return
    if wanted.logical == "timestamp-millis" and written.logical in TO_MILLIS:
        return
    raise Unresolvable(differ(written, wanted, at))


PLAIN: dict[str, Read] = {
    "null": lambda _data, at: (None, at),
    "boolean": binary.read_boolean,
    "int": binary.read_int32,
    "long": binary.read_long,
    "float": binary.read_float,
    "double": binary.read_double,
    "string": binary.read_string,
    "bytes": binary.read_bytes,
}


def in_millis(written: Type, wanted: Type) -> Read | None:
    """Return a time in the contract's milliseconds; None for a type that is not a time."""
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


def promoted(written: Type, wanted: Type) -> Read:
    """Return a number as the contract's larger type. The job reads an int as a long, so that nothing is cut."""
    converts: dict[str, Callable[[Any], Any]] = {"float": binary.as_float32, "double": float, "long": int}
    read = binary.read_long if written.kind == "int" else PLAIN[written.kind]
    convert = converts[wanted.kind]

    def converted(data: bytes, at: int) -> tuple[Any, int]:
        number, end = read(data, at)
        return convert(number), end

    return converted


def enum(written: Type, wanted: Type, at: str) -> Read:
    """Return the reader of an enum. A symbol that the contract lacks becomes its default.

    Raises Unresolvable.
    """
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


def fixed(written: Type, wanted: Type, at: str) -> Read:
    """Return the reader of a fixed type with the contract's name and size. Raises Unresolvable for another one."""
    if (written.short_name, written.size) != (wanted.short_name, wanted.size):
        raise Unresolvable(differ(written, wanted, at))

    def read(data: bytes, position: int) -> tuple[bytes, int]:
        end = binary.after(data, position, written.size)
        return data[position:end], end

    return read


def blocks(item: Read, made: Callable[[list[Any]], Any]) -> Read:
    """Read the items of an array or a map, in blocks. The size behind a negative count is not needed."""

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
