"""Rows of a real-time job on their way: Spark has committed them to the updates topic, but the tables lack them."""

import time
from collections.abc import Callable
from contextlib import closing

from common.errors import Unproved
from common.kafka.updates_group import Applied, behind
from common.provision import updates_topic
from common.settings import Settings

PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.2


def await_all(settings: Settings, job: str, polled: Callable[[], None]) -> None:
    """Wait until all present rows of the job's updates topic are in its tables. Raises Unproved."""
    topic = updates_topic(settings, job)
    until = time.monotonic() + PATIENCE_SECONDS
    with closing(Applied(settings, topic)) as applied:
        ends, topic_id = applied.ends(), applied.topic_id()
        while waiting := behind(applied.upto(ends, topic_id), ends):
            if time.monotonic() >= until:
                raise Unproved(
                    f"{waiting:,} rows wait in {topic}, and nobody applies them",
                    f"run `adstream apply {job}`, or the job, and verify again",
                )
            polled()
            time.sleep(_POLL_SECONDS)
