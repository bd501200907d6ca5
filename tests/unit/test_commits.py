"""The applying process commits each applied offset once, and again if Kafka did not take it."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from streaming.apply.changelog import Changelog


class Group:
    """Takes commits, and does not answer."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int]] = []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.commits += [(each.partition, each.offset) for each in offsets]


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def changelog(group: Group) -> Any:
    """A member that has applied two partitions, without a connection."""
    made: Any = Changelog.__new__(Changelog)
    made.topic, made._consumer, made._watch = "rows", group, SimpleNamespace(topic_id="id")
    made._assigned, made._next, made._epochs = {0, 1}, {0: 5, 1: 7}, {}
    made._committed, made._uncommitted = {}, {}
    return made


def applied(changelog: Any) -> None:
    changelog._committed_at = float("-inf")
    changelog.applied()


def test_an_offset_is_committed_once(changelog: Any, group: Group) -> None:
    applied(changelog)
    changelog._told_of_commit(None, [TopicPartition("rows", 0, 5), TopicPartition("rows", 1, 7)])
    applied(changelog)
    assert sorted(group.commits) == [(0, 5), (1, 7)]
    changelog._next[1] = 8
    applied(changelog)
    assert group.commits[2:] == [(1, 8)]


def test_a_failed_commit_is_repeated_although_no_more_rows_come(changelog: Any, group: Group) -> None:
    applied(changelog)
    changelog._told_of_commit(KafkaError(KafkaError._TIMED_OUT), [TopicPartition("rows", 1, 7)])
    applied(changelog)
    assert group.commits[2:] == [(1, 7)]
