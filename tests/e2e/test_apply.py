"""`adstream apply` on real services: the tables end with the newest state of every row."""

import json
import time
import urllib.request
from decimal import Decimal

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from adstream.verify import applied as verify_applied
from common.cassandra.session import connect
from common.errors import Unproved
from common.kafka import client_config, create_topics, end_offsets
from common.kafka.updates_group import group_of
from common.provision import updates_spec
from common.settings import Settings
from streaming.apply.freshness import counts_of, quantile
from tests.e2e.applying import Applying, apply_rest, sending
from tests.e2e.commands import adstream, delete_before, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.row_watch import watched
from tests.e2e.updates import Updates, stored


@pytest.fixture
def updates(pipeline: Pipeline) -> Updates:
    return Updates(pipeline.settings)


def committed(settings: Settings) -> dict[int, int]:
    """Return the group's committed offsets, by partition."""
    topic = settings.topic.updates
    reader = Consumer(client_config(settings.kafka) | {"group.id": group_of(topic)})
    try:
        places = reader.committed(
            [TopicPartition(topic, number) for number in end_offsets(settings, topic)], timeout=30
        )
        return {each.partition: each.offset for each in places}
    finally:
        reader.close()


def test_rows_reach_the_tables_as_they_were_sent(pipeline: Pipeline, updates: Updates) -> None:
    for _ in range(200):
        updates.event()
    without_views = updates.buckets[0][0]
    row = without_views.row(updates.lease, updates.start) | {"ad_id": "clicked only", "avg_cost_per_view": None}
    updates.send(b"clicked only", row)
    updates.flush()
    done = adstream("apply", "ad-metrics", "--once", "--metrics-port", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "601 rows read" in done.stdout
    found = stored(pipeline.settings)
    assert found.pop(("clicked only", None))[0] == without_views.count
    assert found == updates.rows()
    with connect(pipeline.settings.cassandra, keyspace=pipeline.settings.cassandra.keyspace) as session:
        [window] = session.execute(
            "SELECT * FROM ad_metrics_by_window WHERE ad_id = 'ad-00000' AND day = %s LIMIT 1", [updates.start.date()]
        )
        assert (window.total_cost, window.avg_cost_per_view) == (Decimal("0.100010"), Decimal("0.005000"))
        assert (window.window_end - window.window_start).total_seconds() == 60
        [total] = session.execute("SELECT * FROM ad_metrics WHERE ad_id = 'clicked only'")
        assert total.avg_cost_per_view is None
        assert total.last_updated is not None
    assert committed(pipeline.settings) == end_offsets(pipeline.settings, pipeline.settings.topic.updates)
    again = adstream("apply", "ad-metrics", "--once", "--metrics-port", "off")
    assert "0 rows read, 0 written" in again.stdout


def test_older_rows_lose_also_against_a_process_that_knows_nothing(pipeline: Pipeline, updates: Updates) -> None:
    for _ in range(40):
        updates.event()
    updates.flush()
    apply_rest(pipeline, updates)
    wanted, bucket = updates.rows(), updates.buckets[3][0]
    older = bucket.row(updates.lease, updates.start) | {"version": updates.lease + 1, "total_clicks": 99}
    updates.send(bucket.key, older)
    updates.flush()
    done = adstream("apply", "ad-metrics", "--once", "--metrics-port", "off")
    assert "1 rows read, 1 written" in done.stdout  # the process does not know the row's version, so Cassandra decides
    assert stored(pipeline.settings) == wanted


def test_what_waits_for_the_same_key_is_coalesced_and_the_rate_is_told(pipeline: Pipeline) -> None:
    updates = Updates(pipeline.settings, ads=50)
    with Applying("--metrics-port", "off") as process, watched(pipeline.settings):
        process.wait_for_partitions()
        process.freeze()  # however fast it is, rows of the same key wait together
        updates.at_rate(1_000, 1)
        process.thaw()
        began = time.monotonic()
        updates.at_rate(1_000, 4)
        process.wait_until(lambda told: told["rows_read"] == 3 * updates.events)
        told = process.wait_until(lambda told: sum(told["lag"].values()) == 0)
        seconds = time.monotonic() - began
        code, errors = process.end()
        assert code == 0, errors
    print(f"{told['rows_read'] / seconds:,.0f} rows/s in, {told['rows_written'] / seconds:,.0f} written")
    left_out = told["rows_coalesced"] + told["rows_outdated"]
    assert told["rows_coalesced"] > 0
    assert told["rows_read"] == told["rows_written"] + left_out
    assert stored(pipeline.settings) == updates.rows()
    fresh = told["event_to_row_seconds"]
    assert fresh["count"] == fresh["buckets"]["+Inf"] == told["rows_written"]
    half = quantile(counts_of(fresh["buckets"]), 0.5)
    assert half is not None
    assert 0 < half < 60


def test_two_share_the_partitions_and_either_goes_on_alone(pipeline: Pipeline, updates: Updates) -> None:
    with Applying("--metrics-port", "off") as first, watched(pipeline.settings), sending(updates, 200):
        first.wait_for_partitions(2)
        with Applying("--metrics-port", "off") as second:
            first.wait_for_partitions(1)
            second.wait_for_partitions(1)
            second.wait_until(lambda told: told["rows_read"] > 50)
            second.kill()
        first.wait_for_partitions(2)
        read = first.told["rows_read"]
        first.wait_until(lambda told: told["rows_read"] > read + 50)
    apply_rest(pipeline, updates)


def test_killed_and_started_again_it_goes_on_where_it_was(pipeline: Pipeline, updates: Updates) -> None:
    kept: dict[int, int] = {}
    with watched(pipeline.settings), sending(updates, 300):
        for _ in range(2):
            with Applying("--member", "one", "--metrics-port", "off") as process:
                first = process.wait_until(lambda told: len(told["applied"]) == 2)["applied"]
                assert all(int(first[str(partition)]) >= offset for partition, offset in kept.items())
                process.wait_until(lambda _: any(offset > 0 for offset in committed(pipeline.settings).values()))
                process.wait_until(lambda told: told["rows_written"] > 100)
                process.kill()
            kept = committed(pipeline.settings)
    apply_rest(pipeline, updates)


def test_of_two_with_one_name_the_younger_goes_on(pipeline: Pipeline, updates: Updates) -> None:
    with Applying("--member", "one", "--metrics-port", "off") as older:
        older.wait_for_partitions()
        with Applying("--member", "one", "--metrics-port", "off") as younger:
            younger.wait_for_partitions()
            code, errors = older.ended()
            assert code == 1
            assert "another process applies" in errors
            updates.event()
            updates.flush()
            younger.wait_until(lambda told: told["rows_written"] == 3)
            assert younger.end()[0] == 0


def test_a_stop_ends_after_what_was_read_and_commits_it(pipeline: Pipeline, updates: Updates) -> None:
    with sending(updates, 300), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        code, errors = process.end()
        assert (code, errors) == (0, "")
    told = next(each for each in reversed(process.lines) if each["applied"])
    done = committed(pipeline.settings)
    assert all(done[int(number)] >= offset for number, offset in told["applied"].items())
    apply_rest(pipeline, updates)


def test_when_the_input_ends_it_applies_the_rest_and_stops(pipeline: Pipeline, updates: Updates) -> None:
    with Applying("--until-input-ends", "--metrics-port", "off") as process:
        process.wait_for_partitions()
        for _ in range(2_000):
            updates.event()
        updates.flush()
        process.close_input()
        assert process.ended() == (0, "")
    assert stored(pipeline.settings) == updates.rows()


def test_what_it_says_for_programs_and_for_prometheus(pipeline: Pipeline, updates: Updates) -> None:
    with Applying() as process:
        url = process.wait_until(lambda told: "/metrics" in told["message"])["message"].split("progress: ")[1]
        updates.at_rate(50, 1)
        process.wait_until(lambda told: told["rows_written"] > 0 and sum(told["lag"].values()) == 0)
        told = process.wait_until(lambda told: told["rows_read"] == 3 * updates.events)
        base = url.split("/metrics")[0]
        exposed = urllib.request.urlopen(f"{base}/metrics", timeout=30).read().decode()
        progress = json.load(urllib.request.urlopen(f"{base}/progress", timeout=30))
        assert urllib.request.urlopen(f"{base}/ready", timeout=30).status == 200
        code, _ = process.end()
        assert code == 0
    assert set(told) == {
        "at", "level", "job", "message", "rows_read", "rows_written", "rows_coalesced", "rows_outdated", "applied",
        "lag", "newest_event", "event_to_row_seconds", "waiting_for",
    }  # fmt: skip
    assert (
        f'adstream_event_to_row_seconds_bucket{{job="ad-metrics",le="+Inf"}} {float(told["rows_written"])}' in exposed
    )
    assert f'adstream_apply_rows_read_total{{job="ad-metrics"}} {float(told["rows_read"])}' in exposed
    assert 'adstream_apply_lag_rows{job="ad-metrics",partition="0"} 0.0' in exposed
    assert (progress["topic"], progress["rows_read"]) == (pipeline.settings.topic.updates, told["rows_read"])


def test_a_message_that_is_no_row_stops_it_until_it_is_left_out(pipeline: Pipeline, updates: Updates) -> None:
    updates.send(b"x", b"not a row")
    updates.flush()
    [partition] = [
        number for number, end in end_offsets(pipeline.settings, pipeline.settings.topic.updates).items() if end
    ]
    for _ in range(20):
        updates.event()
    updates.flush()
    place = f"{pipeline.settings.topic.updates}/{partition}/0"
    said = one_line(adstream("apply", "ad-metrics", "--once"))
    assert said.startswith(f"error: {place} is no row: ")
    done = adstream("apply", "ad-metrics", "--once", "--skip", place, "--metrics-port", "off")
    assert done.returncode == 0, done.stderr
    assert stored(pipeline.settings) == updates.rows()


def test_rows_that_are_gone_before_they_were_applied_are_told(pipeline: Pipeline, updates: Updates) -> None:
    topic = pipeline.settings.topic.updates
    for _ in range(20):
        updates.event()
    updates.flush()
    apply_rest(pipeline, updates)
    for _ in range(20):
        updates.event()
    updates.flush()
    delete_before(pipeline.settings, topic, end_offsets(pipeline.settings, topic))
    assert "no longer has the rows that come next" in one_line(adstream("apply", "ad-metrics", "--once"))
    for _ in range(20):
        updates.event()
    updates.flush()
    done = adstream("apply", "ad-metrics", "--once", "--from", "earliest", "--metrics-port", "off")
    assert done.returncode == 0, done.stderr
    assert stored(pipeline.settings) == updates.rows()


def test_from_earliest_all_rows_are_written_again_although_they_were_applied(
    pipeline: Pipeline, updates: Updates
) -> None:
    """As after a restored backup of the tables."""
    for _ in range(20):
        updates.event()
    updates.flush()
    apply_rest(pipeline, updates)
    cassandra = pipeline.settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        for table in ("ad_metrics", "ad_metrics_by_window"):
            session.execute(f"TRUNCATE {table}", timeout=60)
    again = adstream("apply", "ad-metrics", "--once", "--metrics-port", "off")
    assert "0 rows read" in again.stdout
    done = adstream("apply", "ad-metrics", "--once", "--from", "earliest", "--metrics-port", "off")
    assert done.returncode == 0, done.stderr
    assert stored(pipeline.settings) == updates.rows()


def test_once_ends_with_the_rows_of_its_start_although_more_come(pipeline: Pipeline, updates: Updates) -> None:
    for _ in range(100):
        updates.event()
    updates.flush()
    there = end_offsets(pipeline.settings, pipeline.settings.topic.updates)
    with sending(updates, 200):
        done = adstream("apply", "ad-metrics", "--once", "--metrics-port", "off")
        assert done.returncode == 0, done.stdout + done.stderr
    applied = committed(pipeline.settings)
    assert all(applied[partition] >= end for partition, end in there.items())
    apply_rest(pipeline, updates)


def test_a_topic_that_was_deleted_and_made_anew_is_told(pipeline: Pipeline, updates: Updates) -> None:
    settings, topic = pipeline.settings, pipeline.settings.topic.updates
    for _ in range(20):
        updates.event()
    updates.flush()
    with Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_read"] == 60)
        make_anew(settings, topic)
        code, errors = process.ended()
    assert code == 1
    assert errors.count("\n") == 1
    assert errors.startswith("error: ")
    assert topic in errors
    assert "adstream reset" in errors


def test_a_topic_made_anew_is_applied_from_its_start_although_a_process_read_on(
    pipeline: Pipeline, updates: Updates
) -> None:
    """The process finds its old offset in the new topic, reads on from there, and commits, until it looks again."""
    settings, topic = pipeline.settings, pipeline.settings.topic.updates
    for _ in range(20):
        updates.event()
    updates.flush()
    with Applying("--member", "one", "--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_read"] == 60)
        make_anew(settings, topic)
        new = Updates(settings, ads=2_000, start=updates.start)
        for _ in range(2_000):  # one for each ad: no later row makes up for a lost one
            new.event()
        new.flush()
        code, errors = process.ended()
        print(f"it read {process.told['rows_read']} rows, then: {errors}")
        assert code == 1
    apply_rest(pipeline, new)


def make_anew(settings: Settings, topic: str) -> None:
    """Delete the topic, and make an empty one of this name."""
    admin = AdminClient(client_config(settings.kafka))
    admin.delete_topics([topic])[topic].result(timeout=30)
    while topic not in create_topics(settings, [updates_spec(settings, topic)]):
        time.sleep(0.1)


@pytest.mark.usefixtures("pipeline")
def test_what_is_missing_is_one_line() -> None:
    assert "has no topic nowhere" in one_line(adstream("apply", "ad-metrics", ADSTREAM_TOPIC_UPDATES="nowhere"))
    assert "no table" in one_line(adstream("apply", "ad-metrics", ADSTREAM_CASSANDRA_KEYSPACE="nowhere"))


def test_verify_does_not_believe_rows_that_nobody_has_applied(
    pipeline: Pipeline, updates: Updates, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates.event()
    updates.flush()
    monkeypatch.setattr(verify_applied, "PATIENCE_SECONDS", 0)
    with pytest.raises(Unproved, match=r"^3 rows wait in .*, and nobody applies them"):
        verify_applied.await_all(pipeline.settings, "ad-metrics", lambda: None)
    apply_rest(pipeline, updates)
    verify_applied.await_all(pipeline.settings, "ad-metrics", lambda: None)


def test_after_a_reset_rows_of_the_old_checkpoint_are_left_out(pipeline: Pipeline, updates: Updates) -> None:
    for _ in range(20):
        updates.event()
    updates.flush()
    with Applying("--member", "one", "--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_read"] == 60)
        assert "work on" in one_line(adstream("reset", "ad-metrics", "--yes"))
        assert process.end()[0] == 0
    old = Updates(pipeline.settings, ads=30, lease=updates.lease)
    for _ in range(30):
        old.event()
    old.flush()
    done = adstream("reset", "ad-metrics", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"rows in topic {pipeline.settings.topic.updates} left out" in done.stdout
    new = Updates(pipeline.settings, ads=10)
    for _ in range(10):
        new.event()
    new.flush()
    apply_rest(pipeline, new)
