"""The starts of the queries on one checkpoint: their number, and the schemas of the newest one's plan.

A batch is settled after its commit, perhaps by the next driver (streaming.real_time.settling). By then the registry may
know more schemas than the plan that has computed the batch, and the next plan may lack one of another subject. So each
start notes the schemas of its plan.
"""

import json
from collections.abc import Mapping
from typing import Any

from common.bookkeeping import leases
from common.contracts import Contract
from streaming.recovery.checkpoint import Checkpoint

_FOLDER = "starts"
_AT, _SCHEMAS = "at", "schemas"


class Starts:
    """The starts that a checkpoint notes, numbered from 0."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def number(self) -> int:
        """Return how many there were."""
        return self._checkpoint.noted(_FOLDER)

    def note(self, schemas: Mapping[int, Contract]) -> int:
        """Note one more start, with the schemas of its plan by id. Returns the start's number."""
        number = self.number()
        texts = {str(key): [each.subject, each.version, each.text] for key, each in sorted(schemas.items())}
        self._checkpoint.note(_FOLDER, json.dumps({_AT: leases.now_micros(), _SCHEMAS: texts}))
        return number

    def schemas(self) -> dict[int, Contract] | None:
        """Return the schemas of the newest start's plan by id; None if it has noted none.

        Earlier releases noted the time alone. Raises CheckpointError for a damaged note.
        """
        text = self._checkpoint.kept(_FOLDER)
        try:
            found: Any = json.loads(text or "null")
            texts = found.get(_SCHEMAS) if isinstance(found, dict) else None
            return None if texts is None else {int(key): Contract(*each) for key, each in texts.items()}
        except (ValueError, TypeError, AttributeError):
            raise self._checkpoint.damaged(f"the newest note in {_FOLDER} names no schemas") from None
