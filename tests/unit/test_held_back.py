"""Messages that open transactions hold back, by Kafka's answers over time.

tests/e2e/test_transactions.py has the tests with a broker.
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.kafka.topic_ends import Ends, held_back
from common.settings import Settings
from streaming.monitoring.held_back import TOO_LONG_SECONDS, Held, HeldBack
from streaming.monitoring.monitor import Monitor
from tests.unit.test_endpoint import BATCH


class Said:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.told: list[Mapping[int, Held]] = []
        self.notices: list[str] = []
        self.watch = HeldBack(
            Settings(), "ads", told=self.told.append, notice=self.notices.append, clock=lambda: self.now
        )

    def after(self, seconds: float, **ends: tuple[int, int]) -> Mapping[int, Held]:
        self.now += seconds
        self.watch.saw({int(name[1:]): Ends(*each) for name, each in ends.items()})
        return self.told[-1]


@pytest.fixture
def said() -> Said:
    return Said()


def test_nothing_is_held_back_where_both_ends_are_the_same_or_the_stable_one_was_asked_later() -> None:
    assert held_back({0: Ends(10, 10), 1: Ends(12, 10), 2: Ends(10, 16)}) == 6


def test_the_time_goes_by_the_same_open_transaction(said: Said) -> None:
    assert said.after(0, p0=(10, 16), p1=(5, 5)) == {0: Held(10, 6, 0), 1: Held(5, 0, 0)}
    assert said.after(40, p0=(10, 20), p1=(5, 5))[0] == Held(10, 10, 40)
    assert said.after(40, p0=(18, 20), p1=(5, 5))[0] == Held(18, 2, 0)  # the first transaction has ended
    assert said.after(40, p0=(20, 20), p1=(5, 5))[0] == Held(20, 0, 0)
    assert said.after(40, p0=(20, 21), p1=(5, 5))[0] == Held(20, 1, 0)
    assert said.notices == []


def test_one_that_lasts_too_long_is_told_once(said: Said) -> None:
    said.after(0, p0=(10, 16))
    said.after(TOO_LONG_SECONDS, p0=(10, 16))
    assert said.notices == []
    for _ in range(3):
        said.after(1, p0=(10, 1_016))
    [notice] = said.notices
    assert notice.startswith("ads/0/10: a transaction is open for more than 76 s, and holds back 1,006 messages; ")
    said.after(1, p0=(20, 1_016))
    said.after(TOO_LONG_SECONDS + 1, p0=(20, 1_016))
    assert len(said.notices) == 2


def test_who_reads_all_messages_waits_for_no_transaction() -> None:
    told: list[Mapping[int, Held]] = []
    settings = Settings().with_kafka(isolation_level="read_uncommitted", bootstrap_servers="127.0.0.1:1")
    watch = HeldBack(settings, "ads", told=told.append, notice=pytest.fail)
    assert (watch.ends(), told) == ({}, [])


def test_a_broker_that_is_away_costs_two_seconds_and_is_left_alone_for_a_while() -> None:
    now = [0.0]
    settings = Settings().with_kafka(bootstrap_servers="127.0.0.1:1", timeout_seconds=0.2)
    watch = HeldBack(settings, "ads", told=pytest.fail, notice=pytest.fail, clock=lambda: now[0])
    assert watch.ends() == {}
    asked: list[float] = []
    watch._impatient = lambda: asked.append(now[0]) or settings  # type: ignore[func-returns-value, method-assign]
    now[0] = 29.0
    watch.idle()
    assert (watch.ends(), asked) == ({}, [])
    now[0] = 31.0
    watch.idle()
    assert asked == [31.0]
    patient = HeldBack(Settings().with_kafka(timeout_seconds=60), "ads", told=pytest.fail, notice=pytest.fail)
    assert patient._impatient().kafka.timeout_seconds == 2


def test_the_monitor_follows_while_no_batch_comes() -> None:
    monitor = Monitor("ad-metrics", "ads", timedelta(seconds=3))
    monitor.batch(BATCH)
    for messages in (6, 8):
        monitor.held_back({0: Held(650, messages, 12.5), 1: Held(400, 0, 0.0)})
    told = monitor.progress()["partitions"]
    assert told["0"] == {"end": 600, "latest": 658, "lag": 58, "held_back": 8}
    assert told["1"] == {"end": 400, "latest": 400, "lag": 0, "held_back": 0}
    families = text_string_to_metric_families(monitor.metrics.exposed()[0].decode())
    found = {(each.name, each.labels.get("partition")): each.value for family in families for each in family.samples}
    assert found["adstream_lag_events", "0"] == 58
    assert found["adstream_held_back_events", "0"] == 8
    assert found["adstream_held_back_seconds", "0"] == 12.5
    monitor.held_back({0: Held(700, 0, 0.0)})
    assert monitor.progress()["partitions"]["0"] == {"end": 600, "latest": 650, "lag": 50, "held_back": 0}
