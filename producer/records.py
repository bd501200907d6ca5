"""What every source of events yields, whatever pattern it is for."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One message to be sent.

    `kind` is what to count it as: `on_time`, `late`, `out_of_order`, `duplicate`, or the name of what is broken in
    it. `spoil` turns the correctly written bytes into broken ones.
    """

    key: str
    event: dict[str, Any]
    kind: str = "on_time"
    spoil: Callable[[bytes], bytes] | None = None
