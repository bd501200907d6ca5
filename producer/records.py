"""The records that every source of events yields, for all patterns."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One message to send.

    `kind` names its count: `on_time`, `late`, `out_of_order`, `duplicate`, or the kind of damage. `spoil` turns the
    correctly encoded bytes into broken ones. `stamp` is the message's time in Kafka, in milliseconds, for a topic with
    CreateTime; 0 is the time of sending.
    """

    key: str
    event: dict[str, Any]
    kind: str = "on_time"
    spoil: Callable[[bytes], bytes] | None = None
    stamp: int = 0
