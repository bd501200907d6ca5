"""One run of a producer: records out at a steady rate, until they end, the count is reached, or somebody stops it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from common.errors import AdstreamError, DeliveryFailed
from producer.pace import Pace
from producer.records import Record

SHORTEST_WAIT_SECONDS = 0.01  # at high rates events go out in small bursts; a wait for each costs more than sending
LONGEST_WAIT_SECONDS = 0.2


class Outlet(Protocol):
    """The destination of records. It counts all records, records by kind, and safely stored records."""

    sent: int
    acknowledged: int
    kinds: Counter[str]

    def send(self, record: Record) -> None:
        """Take one record; it may be written later."""

    def serve(self, seconds: float) -> None:
        """Do due work in the background, for up to `seconds`."""

    def flush(self) -> None:
        """Return when every record taken is acknowledged."""

    def abandon(self) -> None:
        """Drop unwritten records, so that a failed run ends at once."""


def run(
    outlet: Outlet,
    records: Iterable[Record],
    rate: float,
    stop: threading.Event,
    on_progress: Callable[[int, int], None],
) -> None:
    """Send `records` and wait until all are acknowledged; `on_progress` gets the numbers of sent and acknowledged ones.

    Raises the outlet's errors, with the number of acknowledged records in their line.
    """
    pace = Pace(rate)
    try:
        for position, record in enumerate(records):
            while (ahead := pace.ahead(position)) > SHORTEST_WAIT_SECONDS and not stop.is_set():
                outlet.serve(min(ahead, LONGEST_WAIT_SECONDS))
                on_progress(outlet.sent, outlet.acknowledged)
            if stop.is_set():
                break
            outlet.send(record)
            on_progress(outlet.sent, outlet.acknowledged)
        outlet.flush()
        on_progress(outlet.sent, outlet.acknowledged)
    except DeliveryFailed as error:
        outlet.abandon()
        raise counted(error, outlet.sent, outlet.acknowledged) from None
    except AdstreamError as error:
        with suppress(AdstreamError):  # the first error is shown, and the counts tell of the second
            outlet.flush()  # records before the wrong event are not lost
        raise counted(error, outlet.sent, outlet.acknowledged) from None


def counted(error: AdstreamError, sent: int, acknowledged: int) -> AdstreamError:
    """Return the same error with the number of acknowledged records."""
    return type(error)(f"{error.problem} ({acknowledged} of {sent} events acknowledged)", error.remedy)
