"""Send one of the tour's own clicks, and poll the table until its row is there."""

import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime

from common import contracts
from common.cassandra.session import connect
from common.errors import JobFailed
from common.settings import Settings
from common.text.moments import to_millis
from producer.publisher import AvroPublisher
from producer.records import Record

_POLL_SECONDS = 0.005


class Clicks:
    """Clicks of the tour. Each is the first event of its own ad, so its row exists or not."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        contract = replace(contracts.latest("ads_data"), subject=f"{topic}-value")
        self._publisher = AvroPublisher(settings, topic, contract)

    def until_its_row(self, patience: float) -> float:
        """Send one click. Returns the seconds from the click to its row.

        Raises JobFailed after `patience`, in seconds.
        """
        ad = f"click-{secrets.token_hex(3)}"
        with connect(self._settings.cassandra, keyspace=self._settings.cassandra.keyspace) as session:
            query = session.prepare("SELECT ad_id FROM ad_metrics WHERE ad_id = ?")
            began = time.monotonic()
            event = {
                "ad_id": ad, "timestamp": to_millis(datetime.now(UTC)), "clicks": 1, "views": 1, "cost": 0.01,
                "event_id": ad,
            }  # fmt: skip
            self._publisher.send(Record(ad, event))
            self._publisher.flush()
            while not session.execute(query, (ad,)).one():
                if time.monotonic() > began + patience:
                    raise JobFailed(f"no row of {ad} after {patience:.0f} s", "the job's lines above say why")
                time.sleep(_POLL_SECONDS)
            return time.monotonic() - began
