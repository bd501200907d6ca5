"""Numbers as files and options write them: as JSON does, in ASCII digits with a point.

`int` and `float` accept more: `1_000`, digits of other scripts, `+1`, `nan`, a space before or behind. The meaning of
these would be a guess, so they are refused.
"""

import re
from decimal import Decimal

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST = 100
_LONG = 2**63


def whole_number(text: str) -> int:
    """Parse a whole number.

    Raises ValueError for anything but digits without leading zeros, and for more than 64 bits.
    """
    if not _WHOLE.fullmatch(text) or not -_LONG <= int(text) < _LONG:
        raise ValueError(f"{text[:_LONGEST]!r} is not a whole number")
    return int(text)


def decimal_number(text: str) -> float:
    """Parse a double of exactly this value.

    Raises ValueError for another form, or for more digits than a double keeps.
    """
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text[:_LONGEST]!r} is not a number")
    number = float(text)
    # 0.1 is kept as the nearest double, and written as 0.1 again. Infinity has no number in JSON.
    if number in (float("inf"), float("-inf")) or Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{text!r} has more digits than a double keeps")
    return number
