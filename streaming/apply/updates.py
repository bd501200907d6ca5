"""Messages of an updates topic: how they name their row, and which of two messages for a row is newer.

A message's key names the row, and its value is a record in the registry's framing. `version` is the record's first
field, so that a reader can compare two messages without decoding either.
"""

from typing import NamedTuple

from common.avro import wire
from common.errors import AdstreamError, BadInput

# Topic, partition, offset.
Place = tuple[str, int, int]
_LONGEST_LONG = 10
_LAST_BYTE, _SEVEN_BITS = 0x80, 0x7F


class Update(NamedTuple):
    """One message: the state of a row after a change. Of two messages with the same key, the larger version counts."""

    key: bytes
    version: int
    value: bytes
    place: Place


def read_update(key: bytes | None, value: bytes | None, place: Place) -> Update:
    """Read one message. Raises BadInput, which names the place, for a message that cannot be a row."""
    if not key or value is None or len(value) <= wire.HEADER_BYTES or value[0] != wire.MAGIC_BYTE:
        raise unreadable(place, "it has no key, or no value in the registry's framing")
    # An Avro long: seven bits a byte, the lowest first, with the sign in the lowest bit. The code is inline, because a
    # call for each message would double the cost.
    number = shift = 0
    for byte in value[wire.HEADER_BYTES : wire.HEADER_BYTES + _LONGEST_LONG]:
        if byte < _LAST_BYTE:
            number |= byte << shift
            return Update(key, (number >> 1) ^ -(number & 1), value, place)
        number |= (byte & _SEVEN_BITS) << shift
        shift += 7
    raise unreadable(place, "it does not begin with a version")


def unreadable(place: Place, why: str) -> BadInput:
    """Return the error for a message that is no row of the job."""
    named = _named(place)
    return BadInput(f"{named} is no row: {why}", f"find out who wrote it, then leave it out with --skip {named}")


def of_a_strange_schema(place: Place, error: AdstreamError) -> AdstreamError:
    """Return the error about a message's schema with the message's place: it may be no row of the job either."""
    named = _named(place)
    return type(error)(
        f"{named}: {error.problem}", f"{error.remedy}; if it is no row of the job, leave it out with --skip {named}"
    )


def _named(place: Place) -> str:
    return "/".join(map(str, place))
