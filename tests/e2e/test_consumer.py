"""The debug consumer on a real broker and registry: it shows everything, breaks on nothing and leaves no trace."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka.admin import AdminClient

from common.settings import Settings
from tests.e2e.commands import adstream, everything_on, free_port, new_topic, one_line, started

TROUBLE = ("--broken", "0.4", "--late", "0.1", "--duplicates", "0.1")


@pytest.fixture(scope="module")
def troubled(stack: Settings) -> str:
    """A topic with 600 messages, many of them broken in every way."""
    topic = new_topic(stack)
    done = adstream("produce", "ads", "--topic", topic, "--seed", "3", "--count", "600", "--rate", "0", *TROUBLE)
    assert done.returncode == 0, done.stderr
    return topic


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} is not JSON")


def test_json_shows_every_record_with_its_place_and_bytes(stack: Settings, troubled: str) -> None:
    done = adstream("consume", troubled, "--to-end", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line, parse_constant=refuse) for line in done.stdout.splitlines()]
    shown = {(line["partition"], line["offset"]): line for line in lines}
    there = everything_on(stack, troubled)
    assert len(lines) == len(shown) == len(there) == 600
    for record in there:
        line = shown[record.partition(), record.offset()]
        assert line["topic"] == troubled
        assert line["key"] == (record.key() or b"").decode()
        if "broken" in line:
            assert line["bytes"] == (record.value() or b"").hex()
    broken = [line["broken"] for line in lines if "broken" in line]
    for reason in ("empty", "shorter than", "magic byte", "does not know schema id", "truncated", "garbage"):
        assert any(reason in text for text in broken), reason
    costs = {line["value"]["cost"] for line in lines if "value" in line}
    assert {"NaN", "Infinity"} < costs


def test_text_shows_reason_and_bytes(troubled: str) -> None:
    done = adstream("consume", troubled, "--to-end")
    lines = done.stdout.splitlines()
    assert len(lines) == 600
    assert any("BROKEN wrong magic byte" in line and " bytes: " in line for line in lines)
    assert any(" schema=" in line and '{"ad_id": "ad-' in line for line in lines)


def test_count_ends_it(troubled: str) -> None:
    assert len(adstream("consume", troubled, "--count", "7").stdout.splitlines()) == 7


def committed(settings: Settings, group: str) -> dict[int, int]:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(timeout=30)
    return {place.partition: place.offset for place in answer.topic_partitions}


def test_nothing_is_committed_unless_asked(stack: Settings, troubled: str) -> None:
    for _ in range(2):  # the group starts at the beginning again, on the partition that answers first
        done = adstream("consume", troubled, "--group", "looker", "--count", "50", "--json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == 50, done.stderr
        first = {line["partition"]: line["offset"] for line in reversed(lines)}
        assert set(first.values()) == {0}
        assert committed(stack, "looker") == {}
    line = one_line(adstream("consume", troubled, "--commit"))
    assert "--commit needs --group" in line


def test_what_was_shown_is_committed_when_asked(stack: Settings, troubled: str) -> None:
    seen = []
    for _ in range(2):
        done = adstream("consume", troubled, "--group", "taker", "--commit", "--count", "100", "--json")
        seen += [(line["partition"], line["offset"]) for line in map(json.loads, done.stdout.splitlines())]
    assert len(seen) == len(set(seen)) == 200
    offsets = committed(stack, "taker")
    assert sum(offsets.values()) == 200
    assert all(offset < offsets[partition] for partition, offset in seen)


def test_no_group_is_left_behind(stack: Settings, troubled: str) -> None:
    adstream("consume", troubled, "--count", "1")
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    groups = [group.group_id for group in admin.list_consumer_groups().result(timeout=30).valid]
    assert not [group for group in groups if group.startswith("adstream-consume")]


def test_latest_waits_for_what_comes_and_ctrl_c_ends_it(stack: Settings, troubled: str) -> None:
    topic = new_topic(stack)
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers})
    producer.produce(topic, b"before", b"k", partition=0)
    producer.flush(30)
    received: list[str] = []
    deadline = time.monotonic() + 60
    with started("consume", topic, "--offset-reset", "latest") as running:
        out = running.stdout
        assert out
        reader = threading.Thread(target=lambda: received.append(out.readline()))
        reader.start()
        while reader.is_alive():  # "latest" means the end at the consumer's start: send until it prints something
            assert time.monotonic() < deadline
            producer.produce(topic, b"after", b"k", partition=0)
            producer.flush(30)
            reader.join(0.2)
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert err == ""
    assert b"after".hex(" ") in received[0]
    assert b"before".hex(" ") not in received[0] + rest


def test_a_closed_pipe_ends_it_quietly(troubled: str) -> None:
    command = f'"{sys.executable}" -m adstream.cli consume {troubled} --json | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "0"


def test_no_registry_is_a_reason_and_no_end(troubled: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = adstream("consume", troubled, "--to-end", ADSTREAM_REGISTRY_URL=url)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 600
    assert sum(f"BROKEN no schema registry answers at {url}; " in line for line in lines) > 300


def test_unknown_topic_and_no_broker_are_one_line(stack: Settings, troubled: str) -> None:
    assert f"did you mean {troubled}?" in one_line(adstream("consume", troubled[:-1]))
    nowhere = {"ADSTREAM_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "ADSTREAM_KAFKA_TIMEOUT_SECONDS": "2"}
    assert "no Kafka broker answers" in one_line(adstream("consume", troubled, **nowhere))


def test_messages_of_no_schema_registry_at_all(stack: Settings) -> None:
    topic = new_topic(stack)
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers})
    producer.produce(topic, b'{"json": 1}', headers={"reason": b"because"})
    producer.produce(topic, None, b"\xff")
    producer.flush(30)
    lines = [json.loads(line) for line in adstream("consume", topic, "--to-end", "--json").stdout.splitlines()]
    tombstone = next(line for line in lines if line["bytes"] is None)
    assert "tombstone" in tombstone["broken"]
    assert tombstone["key"] == {"hex": "ff"}
    other = next(line for line in lines if line["bytes"])
    assert bytes.fromhex(other["bytes"]) == b'{"json": 1}'
    assert other["headers"] == {"reason": "because"}
