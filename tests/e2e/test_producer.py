"""The producer on a real broker and registry: the messages on the topic, and the errors."""

import json
import re
import secrets
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from adstream.cli import app
from common.avro import wire
from common.kafka import create_topics, end_offsets, topic_spec
from common.provision import prepare
from common.registry import RegistryClient
from common.settings import Settings
from producer.encoding import Encoder
from producer.events import SAMPLES, SOURCES, find
from producer.timeline import Timeline
from producer.traffic import Mix
from stack import state
from tests.e2e.commands import (
    adstream,
    await_leaders,
    changed_contract,
    everything_on,
    free_port,
    new_topic,
    one_line,
    started,
)  # fmt: skip

START_MS = 1_735_689_600_000
TROUBLE = ("--late", "0.1", "--out-of-order", "0.1", "--duplicates", "0.1", "--broken", "0.2")


def content(settings: Settings, topic: str) -> list[tuple[int | None, bytes | None, bytes | None]]:
    return [(record.partition(), record.key(), record.value()) for record in everything_on(settings, topic)]


def test_what_is_on_the_topic_is_what_was_made(stack: Settings) -> None:
    topic = new_topic(stack)
    done = adstream("produce", "ads", "--topic", topic, "--seed", "5", "--count", "500", "--rate", "0", *TROUBLE)
    assert done.returncode == 0, done.stderr
    assert f"500 events sent to {topic}, 500 acknowledged" in done.stdout
    latest = RegistryClient(stack.registry).latest(f"{topic}-value")
    encode = Encoder(latest, find("ads").contract(topic))
    traffic = find("ads").records(
        5, Mix(late=0.1, out_of_order=0.1, duplicates=0.1, broken=0.2), Timeline(START_MS, 1.0)
    )
    wanted = []
    for record in islice(traffic, 500):
        value = encode(record.event)
        wanted.append((record.key.encode(), record.spoil(value) if record.spoil else value))
    found = everything_on(stack, topic)
    assert sorted((record.key(), record.value()) for record in found) == sorted(wanted)
    assert {record.timestamp()[0] for record in found} == {2}, "stamped by the broker's clock"
    partitions: dict[bytes | None, set[int | None]] = {}
    for record in found:
        partitions.setdefault(record.key(), set()).add(record.partition())
    assert all(len(used) == 1 for used in partitions.values()), "one ad is in one partition"


def test_two_runs_with_seed_and_count_send_the_same_bytes(stack: Settings) -> None:
    topics = new_topic(stack), new_topic(stack)
    for topic in topics:
        done = adstream(
            "produce", "ad-metrics", "--topic", topic, "--seed", "9", "--count", "300", "--rate", "0", *TROUBLE
        )
        assert "--start now" in done.stderr
    first, second = (content(stack, topic) for topic in topics)
    assert len(first) == 300
    ids = [RegistryClient(stack.registry).latest(f"{topic}-value").id for topic in topics]
    assert ids[0] == ids[1], "the same schema has the same id under every subject"
    assert first == second


def test_verbose_says_where_each_record_is(stack: Settings) -> None:
    topic = new_topic(stack)
    for _ in range(2):
        done = adstream("produce", "ads", "--topic", topic, "--seed", "1", "--count", "20", "--rate", "0", "--verbose")
    reports = re.findall(rf"^record (\d+) delivered to {topic} \[(\d+)\] at offset (\d+)$", done.stdout, re.MULTILINE)
    assert sorted(int(number) for number, _, _ in reports) == list(range(20))
    keys = [record.key.encode() for record in islice(find("ads").records(1, Mix(), Timeline(START_MS, 1.0)), 20)]
    there = {(record.partition(), record.offset()): record.key() for record in everything_on(stack, topic)}
    for number, partition, offset in reports:
        assert there[int(partition), int(offset)] == keys[int(number)]


def test_a_full_queue_slows_down_and_loses_nothing(stack: Settings) -> None:
    topic = new_topic(stack)
    done = adstream("produce", "ads", "--topic", topic, "--count", "3000", "--rate", "0", "--max-queued", "10")
    assert "3,000 events sent" in done.stdout
    assert "3,000 acknowledged" in done.stdout
    found = everything_on(stack, topic)
    latest = RegistryClient(stack.registry).latest(f"{topic}-value")
    assert len(found) == len({record.value() for record in found}) == 3000
    assert all((record.value() or b"").startswith(wire.header(latest.id)) for record in found)


@pytest.mark.parametrize("count", [10, 20_000])
def test_a_full_disk_under_the_acknowledgements_ends_the_run_and_drops_no_event(stack: Settings, count: int) -> None:
    topic = new_topic(stack)
    sending = "produce", "ads", "--topic", topic, "--count", str(count), "--rate", "0"
    ended = adstream(*sending, "--acknowledged", "/dev/full")
    line = one_line(ended)
    assert "/dev/full cannot be written: No space left on device" in line
    # A short run finds no room when it ends, and has printed its counts.
    told = rf"({count}) events sent to {topic}, ({count}) acknowledged|\((\d+) of (\d+) events acknowledged\)"
    counts = re.search(told, ended.stdout + line)
    assert counts
    acknowledged, sent = map(int, filter(None, counts.groups()))
    assert 0 < acknowledged == sent == len(everything_on(stack, topic))


def test_the_rate_is_kept(stack: Settings) -> None:
    topic = new_topic(stack)
    done = adstream("produce", "ads", "--topic", topic, "--count", "1000", "--rate", "500")
    seconds = re.search(r"in ([\d.]+) s", done.stdout)
    assert seconds
    assert 1.9 <= float(seconds[1]) < 10


def test_a_csv_is_sent_row_by_row(stack: Settings, tmp_path: Path) -> None:
    topic = new_topic(stack)
    file = tmp_path / "events.csv"
    file.write_text("ad_id,timestamp,clicks,views,cost\nad-7,2025-01-31T10:00:00Z,1,20,0.75\nad-8,bad,1,2,3\n")
    stopped = adstream("produce", "ads", "--topic", topic, "--csv", file)
    assert f"{file} line 3: timestamp 'bad' is not ISO 8601" in one_line(stopped)
    assert sum(end_offsets(stack, topic).values()) == 0
    skipped = adstream("produce", "ads", "--topic", topic, "--csv", file, "--on-bad-row", "skip", "--keep-timestamps")
    assert skipped.returncode == 0
    assert "line 3 skipped" in skipped.stderr
    (record,) = everything_on(stack, topic)
    assert record.key() == b"ad-7"
    shown = adstream("consume", topic, "--count", "1")
    assert '"timestamp": "2025-01-31T10:00:00.000Z", "clicks": 1, "views": 20, "cost": 0.75' in shown.stdout


def test_ctrl_c_delivers_what_is_under_way(stack: Settings) -> None:
    topic = new_topic(stack)
    with started("produce", "ads", "--topic", topic, "--rate", "1000") as running:
        wait_for(running, stack, topic, 100)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    sent = re.search(r"^([\d,]+) events sent to \S+, ([\d,]+) acknowledged", out)
    assert sent
    assert sent[1] == sent[2]
    assert sum(end_offsets(stack, topic).values()) == int(sent[1].replace(",", ""))


def test_ctrl_c_before_the_count_is_not_success(stack: Settings) -> None:
    topic = new_topic(stack)
    with started("produce", "ads", "--topic", topic, "--rate", "100", "--count", "1000000") as running:
        wait_for(running, stack, topic, 1)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130


def wait_for(running: subprocess.Popen[str], settings: Settings, topic: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while sum(end_offsets(settings, topic).values()) < count:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, f"fewer than {count} records"


def test_no_broker(stack: Settings) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {"ADSTREAM_KAFKA_BOOTSTRAP_SERVERS": nowhere, "ADSTREAM_KAFKA_TIMEOUT_SECONDS": "2"}
    line = one_line(adstream("produce", "ads", "--count", "1", **environment))
    assert f"no Kafka broker answers at {nowhere} (0 of 0 events acknowledged); start one with `adstream up`" in line


def test_no_registry(stack: Settings) -> None:
    topic = new_topic(stack)
    url = f"http://127.0.0.1:{free_port()}/apis"
    line = one_line(adstream("produce", "ads", "--topic", topic, "--count", "1", ADSTREAM_REGISTRY_URL=url))
    assert f"no schema registry answers at {url}" in line


def test_a_url_that_is_no_registry(stack: Settings) -> None:
    topic = new_topic(stack)
    url = stack.registry.url.replace("/apis/ccompat/v7", "/nowhere")
    line = one_line(adstream("produce", "ads", "--topic", topic, "--count", "1", ADSTREAM_REGISTRY_URL=url))
    assert "check ADSTREAM_REGISTRY_URL" in line


def test_unknown_topic_and_unknown_schema(stack: Settings) -> None:
    topic = new_topic(stack)
    line = one_line(adstream("produce", "ads", "--topic", topic + "x", "--count", "1"))
    assert f"has no topic {topic}x" in line
    assert f"did you mean {topic}?" in line
    bare = new_topic(stack, versions=0)
    line = one_line(adstream("produce", "ads", "--topic", bare, "--count", "1"))
    assert f"does not know {bare}-value" in line
    assert "adstream schema register" in line


def test_a_registered_schema_that_our_events_do_not_fit(stack: Settings) -> None:
    topic = new_topic(stack, versions=0)
    registry = RegistryClient(stack.registry)
    registry.register(changed_contract(topic, {"name": "country", "type": "string"}))
    line = one_line(adstream("produce", "ads", "--topic", topic, "--count", "1"))
    assert "requires country, which the events do not have" in line
    assert sum(end_offsets(stack, topic).values()) == 0


def test_a_newer_optional_field_is_no_obstacle(stack: Settings) -> None:
    topic = new_topic(stack)
    added = changed_contract(topic, {"name": "country", "type": ["null", "string"], "default": None})
    new_id = RegistryClient(stack.registry).register(added)
    assert adstream("produce", "ads", "--topic", topic, "--count", "3", "--rate", "0").returncode == 0
    assert {(record.value() or b"")[:5] for record in everything_on(stack, topic)} == {wire.header(new_id)}


@pytest.fixture
def broker(stack: Settings) -> psutil.Process:
    return psutil.Process(state.read(stack.data_dir).services["kafka"].pid)


def test_a_broker_that_stops_while_running(stack: Settings, broker: psutil.Process) -> None:
    topic = new_topic(stack)
    patience = {"ADSTREAM_KAFKA_TIMEOUT_SECONDS": "3"}
    with started("produce", "ads", "--topic", topic, "--rate", "2000", **patience) as running:
        wait_for(running, stack, topic, 3_000)  # wait for several requests, so that the first are acknowledged
        broker.suspend()
        try:
            _out, err = running.communicate(timeout=90)
        finally:
            broker.resume()
            await_leaders(stack, topic)
    assert running.returncode == 1
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    counts = re.search(r"no Kafka broker answers at \S+ \((\d+) of (\d+) events acknowledged\); ", line)
    assert counts, err
    acknowledged, sent = map(int, counts.groups())
    assert 500 <= acknowledged < sent
    waited = "did not take an event within 9 s (3 times ADSTREAM_KAFKA_TIMEOUT_SECONDS=3), lag "
    assert f"{waited}{sent - acknowledged:,} events: " in line
    assert len(everything_on(stack, topic)) >= acknowledged


def test_a_sample_goes_to_a_new_topic_of_its_own(stack: Settings) -> None:
    found = []
    for _ in range(2):
        done = adstream("produce", "running-totals", "--sample")
        assert done.returncode == 0, done.stderr
        said = re.search(r"^5 events sent to (\S+), 5 acknowledged .*: 5 sample$", done.stdout, re.MULTILINE)
        assert said, done.stdout
        assert done.stdout.splitlines()[-1] == "next: adstream stream running-totals --sample"
        assert re.fullmatch(r"running-totals-sample-\d{8}T\d{6}-[0-9a-f]{4}", said[1])
        found.append(said[1])
    assert found[0] != found[1]
    records = everything_on(stack, found[1])
    latest = RegistryClient(stack.registry).latest(f"{found[1]}-value")
    encode = Encoder(latest, find("running-totals").contract(found[1]))
    wanted = [(event["userId"].encode(), encode(event)) for event in SAMPLES["running-totals"].events]
    assert sorted((record.key(), record.value()) for record in records) == sorted(wanted)


def test_a_sample_makes_the_topic_it_is_told_with_every_version_of_its_contract(stack: Settings) -> None:
    topic = f"told-{secrets.token_hex(4)}"
    done = adstream("produce", "ad-metrics", "--sample", "--topic", topic)
    assert done.stdout.splitlines()[-1] == f"next: adstream stream ad-metrics --topic {topic}"
    versions = RegistryClient(stack.registry).versions(f"{topic}-value")
    assert [json.loads(each.text)["fields"][-1]["name"] for each in versions] == ["cost", "event_id"]
    shown = adstream("consume", topic, "--count", "11").stdout
    ages = [datetime.now(UTC) - datetime.fromisoformat(time) for time in re.findall(r'"timestamp": "([^"]+)"', shown)]
    assert len(ages) == 11
    assert timedelta(0) < min(ages) < max(ages) < timedelta(minutes=8), "moved to the last minutes"


def test_json_messages_have_a_key_and_no_header(stack: Settings) -> None:
    topic = f"json-{secrets.token_hex(4)}"
    create_topics(stack, [topic_spec(stack, topic)])
    done = adstream(
        "produce", "racks", "--topic", topic, "--format", "json", "--seed", "4", "--count", "200", "--rate", "0"
    )
    assert done.returncode == 0, done.stderr
    made = list(islice(find("racks").records(4, Mix(), Timeline(START_MS, 1.0)), 200))
    found = [(record.key(), json.loads(record.value() or b"")) for record in everything_on(stack, topic)]
    assert Counter(key for key, _ in found) == Counter(record.key.encode() for record in made)
    for key, event in found:
        assert event["rack"].encode() == key
        assert re.fullmatch(r"2025-01-01T00:00:00\.\d{3}Z", event["ts"])
    assert sorted(event["temperature"] for _, event in found) == sorted(each.event["temperature"] for each in made)


def test_every_source_can_be_produced_once_topics_and_schemas_are_there(stack: Settings) -> None:
    prepare(stack)
    for name, source in SOURCES.items():
        before = sum(end_offsets(stack, source.topic(stack)).values())
        done = CliRunner().invoke(app, ["produce", name, "--count", "200", "--rate", "0", "--broken", "0.2"])
        assert done.exit_code == 0, done.output
        assert "200 acknowledged" in done.output
        assert sum(end_offsets(stack, source.topic(stack)).values()) == before + 200
