"""The configuration of Kafka's clients and topics that the guarantees rest on."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from adstream.dead_letters import replay
from common.kafka import consumer_config, topic_spec
from common.kafka.log_cuts import NO_EPOCH, Known
from common.kafka.updates_group import applied_upto, behind, committed_at
from common.provision import marks_spec, updates_spec
from common.settings import Settings
from producer import publisher
from streaming.sinks.dead_letters import producer_options

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000


def _publisher(settings: Settings) -> object:
    return publisher.Publisher(settings, "ads", lambda _event: b"")


@pytest.mark.parametrize("made_by", [_publisher, replay.Sender], ids=["publisher", "replay"])
def test_every_producer_is_idempotent_and_all_replicas_acknowledge(
    made_by: Callable[[Settings], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    for module in (publisher, replay):
        monkeypatch.setattr(module, "Producer", asked.append)
    settings = Settings()
    made_by(settings)
    [config] = asked
    assert (config["enable.idempotence"], config["acks"]) == (True, "all")
    # A key must have one partition, whoever sends it: Java's clients use this one.
    assert config["partitioner"] == "murmur2_random"
    timeout = int(settings.kafka.timeout_seconds * 1_000)
    assert config["request.timeout.ms"] == config["socket.timeout.ms"] == timeout
    assert config["message.timeout.ms"] == 3 * timeout


def test_no_other_file_makes_a_producer() -> None:
    making = []
    for package in ("adstream", "common", "consumer", "producer", "stack", "streaming"):
        for file in (ROOT / package).rglob("*.py"):
            found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            called = {node.func.id for node in found if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
            if "Producer" in called:
                making.append(file.relative_to(ROOT).as_posix())
    assert sorted(making) == ["adstream/dead_letters/replay.py", "producer/publisher.py"]


def test_spark_waits_for_all_replicas_and_not_for_ever() -> None:
    options = producer_options(Settings().kafka, "letters")
    assert options["kafka.acks"] == "all"
    assert options["topic"] == "letters"
    limits = ("kafka.max.block.ms", "kafka.request.timeout.ms", "kafka.delivery.timeout.ms")
    assert all(0 < int(options[name]) <= 30_000 for name in limits)


def test_no_consumer_commits_by_itself_and_none_makes_a_topic() -> None:
    config = consumer_config(Settings().kafka)
    assert config["enable.auto.commit"] is False
    assert config["allow.auto.create.topics"] is False


def test_a_topic_keeps_its_messages_for_the_hours_of_the_settings_by_the_brokers_clock() -> None:
    settings = Settings()
    events = topic_spec(settings, "ads").new_topic().config
    assert int(events["retention.ms"]) == settings.topic.retention_hours * HOUR
    assert (events["cleanup.policy"], events["message.timestamp.type"]) == ("delete", "LogAppendTime")
    changelog = updates_spec(settings, "rows").new_topic().config
    assert (changelog["cleanup.policy"], changelog["retention.ms"]) == ("compact,delete", events["retention.ms"])
    marks = marks_spec(settings).new_topic().config
    assert (marks["cleanup.policy"], "retention.ms" in marks) == ("compact", False)


def test_with_three_replicas_two_have_a_message_before_it_is_acknowledged() -> None:
    settings = Settings()
    for replicas, copies in ((1, None), (2, None), (3, "2")):
        settings.topic.replication_factor = replicas
        for spec in (topic_spec(settings, "ads"), updates_spec(settings, "rows"), marks_spec(settings)):
            assert spec.new_topic().config.get("min.insync.replicas") == copies


def test_a_commit_counts_for_the_topic_that_was_read_and_no_other() -> None:
    commit = committed_at("rows", 1, Known(40, 3), "first")
    assert applied_upto(commit, "first") == Known(40, 3)
    assert applied_upto(commit, "made anew") is None
    assert applied_upto(TopicPartition("rows", 1, metadata="first"), "first") is None
    assert applied_upto(TopicPartition("rows", 1, 40, metadata="first"), "first") == Known(40, NO_EPOCH)
    assert behind({0: 10, 1: 40}, {0: 10, 1: 42, 2: 5}) == 7
