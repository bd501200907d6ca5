"""The applying process commits each applied offset once, and again if Kafka did not take it. It knows when the group
has applied everything.
"""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from common.settings import Settings
from streaming.apply.changelog import Changelog

ENDS = {0: 5, 1: 7}


class Group:
    """Takes commits, and does not answer. Has committed everything before."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, int]] = []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.commits += [(each.partition, each.offset) for each in offsets]

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [TopicPartition("rows", each.partition, ENDS[each.partition], metadata="id") for each in places]


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def changelog(group: Group) -> Any:
    """A member that has applied two partitions, without a connection."""
    made: Any = Changelog.__new__(Changelog)
    made.topic, made._consumer, made._watch = "rows", group, SimpleNamespace(topic_id="id")
    made._assigned, made._next, made._epochs = set(ENDS), dict(ENDS), {}
    made._committed, made._uncommitted = {}, {}
    made._settings, made._anew, made._joined, made._asked_at = Settings(), False, True, float("-inf")
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


@pytest.mark.parametrize("anew", [False, True], ids=["behind the commits", "anew"])
@pytest.mark.parametrize(
    ("joined", "assigned", "positions", "reached"),
    [
        (False, set(), {}, {False}),
        (True, {0, 1}, {}, set()),
        (True, {0, 1}, {0: 5, 1: 6}, set()),
        (True, {0, 1}, {0: 5, 1: 7}, {False, True}),
        (True, {1}, {1: 7}, {False, True}),  # another process has the other partition, and has committed
        (True, {1}, {0: 5, 1: 6}, set()),  # this process had the other partition before
    ],
    ids=["not a member yet", "nothing read", "some read", "all read", "one of two", "some of one of two"],
)
def test_all_is_applied_when_this_process_has_read_its_partitions_and_the_others_have_committed_theirs(
    changelog: Any, anew: bool, joined: bool, assigned: set[int], positions: dict[int, int], reached: set[bool]
) -> None:
    """A process that reads anew does not believe what the group has committed before it joined."""
    changelog._anew, changelog._joined, changelog._assigned, changelog._next = anew, joined, assigned, positions
    assert changelog.reached(ENDS) is (anew in reached)
