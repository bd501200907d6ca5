"""Events as JSON objects: the contract's fields by their names, times as ISO 8601."""

import json
from datetime import timedelta

from common.contracts import Contract
from producer.samples import Event
from producer.timeline import EPOCH


class JsonEncoder:
    """Writes one event as one line of JSON, in UTF-8; its time in UTC with milliseconds, like 2025-01-31T10:00:00.000Z.

    There is no registry header. A reader recognises JSON by its first byte, `{`.
    """

    def __init__(self, contract: Contract) -> None:
        self._time_field = contract.time_field

    def __call__(self, event: Event) -> bytes:
        moment = EPOCH + timedelta(milliseconds=event[self._time_field])
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({**event, self._time_field: time}, ensure_ascii=False, allow_nan=False).encode()
