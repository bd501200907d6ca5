"""What must hold once all rows of an updates topic are applied, whatever failed meanwhile."""

from contextlib import closing
from typing import Any

from confluent_kafka.admin import AdminClient

from common.kafka import client_config
from common.kafka.updates_group import Applied, behind, group_of
from common.settings import Settings
from tests.e2e.applying import apply_once
from tests.e2e.commands import everything_on
from tests.e2e.pipeline import Pipeline
from tests.e2e.updates import Updates, stored
from tests.faults.account import Account, Figures


def member(settings: Settings) -> str:
    """Return the id of the applying group's only member. One that comes back after an eviction has another."""
    group = group_of(settings.topic.updates)
    admin: Any = AdminClient(client_config(settings.kafka))
    [found] = admin.describe_consumer_groups([group])[group].result(30).members
    return str(found.member_id)


def settle_applied(account: Account, pipeline: Pipeline, updates: Updates) -> None:
    """Apply the rest: every row is the newest of its key, and every offset is applied and holds a key that was sent.

    A cell is a figure of a row, or its timestamp.
    """
    apply_once()
    account.recovered()
    topic = pipeline.settings.topic.updates
    with closing(Applied(pipeline.settings, topic)) as applied:
        ends = applied.ends()
        waiting = behind(applied.upto(ends, applied.topic_id()), ends)
    keys = {bucket.key for ad in updates.buckets for bucket in ad if bucket.count}
    messages = everything_on(pipeline.settings, topic)
    strange = sum(message.key() not in keys for message in messages)
    found, wanted = stored(pipeline.settings), updates.rows()
    different = sum(found.get(place) != wanted.get(place) for place in found.keys() | wanted.keys())
    offsets = sum(ends.values())
    account.figures = Figures(offsets, waiting + strange, sum(map(len, wanted.values())), different)
    assert updates.events > 0
    assert offsets >= 3 * updates.events  # three rows an event; a retry may send one again
    assert len(messages) == offsets
    assert waiting == 0
    assert strange == 0
    assert found == wanted
