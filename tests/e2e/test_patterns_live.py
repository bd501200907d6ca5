"""Jobs of the catalogue on real Kafka, Cassandra and Iceberg, against DuckDB or plain Python over the raw messages."""

import json
import os
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from common.cassandra.migrations import migrate
from common.kafka import create_topics, topic_spec
from common.provision import prepare
from common.settings import Settings
from streaming.sources import Folder
from tests.e2e.live_job import Event, LiveJob, decoded

MINUTE = timedelta(minutes=1)
Start = Callable[[str], LiveJob]


@pytest.fixture(scope="module")
def settings(stack: Settings) -> Settings:
    """The stack's settings, with a keyspace, a dead-letter topic and an Iceberg namespace of this module's own."""
    name = secrets.token_hex(4)
    own = Settings()
    own.cassandra = own.cassandra.model_copy(update={"keyspace": f"live_{name}"})
    own.topic = own.topic.model_copy(update={"dead_letters": f"dead-{name}"})
    own.lakehouse = own.lakehouse.model_copy(update={"namespace": f"live_{name}"})
    prepare(own)
    create_topics(own, [topic_spec(own, own.topic.dead_letters)])
    migrate(own)
    return own


@pytest.fixture
def start(spark: SparkSession, settings: Settings, tmp_path: Path) -> Start:
    return lambda name: LiveJob.named(spark, settings, name, tmp_path)


def query(sql: str, events: list[Event]) -> list[tuple[Any, ...]]:
    """Run a DuckDB query over the events. Times are in microseconds there."""
    plain = [
        {name: _micros(value) if isinstance(value, datetime) else value for name, value in event.items()}
        for event in events
    ]
    with duckdb.connect(":memory:") as db:
        db.register("events", pa.Table.from_pylist(plain))
        return db.execute(sql).fetchall()


def _micros(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def test_sensor_averages_in_cassandra_and_iceberg_equal_duckdb_over_the_topic(start: Start) -> None:
    job = start("sensor-averages")
    job.send(record for step in job.sample() for record in step)
    job.run()
    length = 5 * 60 * 1_000_000
    expected = {
        (sensor, at(first)): figures
        for sensor, first, *figures in query(
            f"SELECT sensor_id, timestamp // {length} * {length} AS first, avg(temperature), count(*),"
            " min(temperature), max(temperature) FROM events GROUP BY ALL",
            job.messages(),
        )
    }
    closing = {key for key in expected if key[0] == "closing"}
    names = ("avg_temperature", "reading_count", "min_temperature", "max_temperature")
    for rows in (job.rows("sensor_averages"), job.lakehouse_rows("sensor_5min_avg")):
        found = {(row["sensor_id"], row["window_start"]): [row[name] for name in names] for row in rows}
        assert found.keys() == expected.keys() - closing
        for key, figures in found.items():
            assert figures == pytest.approx(expected[key], rel=1e-9)
            assert 60 <= figures[0] <= 90
        assert all(row["window_end"] - row["window_start"] == 5 * MINUTE for row in rows)
        assert all(datetime.now(UTC) - row["processing_time"] < 10 * MINUTE for row in rows)
    assert sum(row["reading_count"] for row in rows) == 300

    moving = start("sensor-moving-averages")
    moving.topic = job.topic
    moving.run()
    sliding = moving.lakehouse_rows("sensor_5min_slide1min")
    assert len(sliding) >= len(rows) > 0
    readings = [event for event in job.messages() if event["sensor_id"] != "closing"]
    for row in sliding:
        inside = [
            event["temperature"]
            for event in readings
            if event["sensor_id"] == row["sensor_id"] and row["window_start"] <= event["timestamp"] < row["window_end"]
        ]
        assert row["reading_count"] == len(inside)
        assert row["avg_temperature"] == pytest.approx(sum(inside) / len(inside), rel=1e-9)


def test_a_batch_that_is_written_to_iceberg_again_changes_nothing(start: Start) -> None:
    job = start("sensor-averages")
    job.send(record for step in job.sample() for record in step)
    job.run()
    before = sorted(
        (row["sensor_id"], row["window_start"], row["avg_temperature"]) for row in job.lakehouse_rows("sensor_5min_avg")
    )
    job.begin_anew()
    job.run()
    after = sorted(
        (row["sensor_id"], row["window_start"], row["avg_temperature"]) for row in job.lakehouse_rows("sensor_5min_avg")
    )
    assert after == before


def test_transaction_totals_and_windows_add_up_to_the_input(start: Start) -> None:
    totals = start("transaction-totals")
    totals.send(record for step in totals.sample() for record in step)
    totals.run()
    windows = start("transaction-windows")
    windows.topic = totals.topic
    windows.run()
    events = totals.messages()
    assert len(events) == 51
    expected: Counter[str] = Counter()
    for event in events:
        expected[event["user_id"]] += event["amount"]
    assert {row["user_id"]: row["total"] for row in totals.rows("transaction_totals")} == expected
    assert sum(expected.values()) == sum(100 * (index + 1) for index in range(51))
    by_window: Counter[tuple[str, datetime]] = Counter()
    for event in events:
        by_window[event["user_id"], at(_micros(event["timestamp"]) // 180_000_000 * 180_000_000)] += event["amount"]
    found = {(row["user_id"], row["window_start"]): row["total"] for row in windows.rows("transaction_windows")}
    assert found == by_window


def transactions_oracle(events: list[Event], timeout: timedelta | None) -> dict[str, tuple[Decimal, int]]:
    """Compute in plain Python, for each user, total and number of the transactions since the last pause."""
    seen: set[str] = set()
    last: dict[str, datetime] = {}
    found: dict[str, tuple[Decimal, int]] = {}
    for event in sorted(events, key=lambda each: each["transactionTime"]):
        if event["transactionId"] in seen:
            continue
        seen.add(event["transactionId"])
        user, time = event["userId"], event["transactionTime"]
        total, count = found.get(user, (Decimal(0), 0))
        if timeout is not None and user in last and time - last[user] > timeout:
            total, count = Decimal(0), 0
        found[user], last[user] = (total + Decimal(str(event["amount"])), count + 1), time
    return found


def test_running_totals_step_by_step(start: Start) -> None:
    job = start("running-totals")
    steps = []
    for step in job.sample():
        job.send(step)
        job.run()
        steps.append(
            {row["user_id"]: row["total"] for row in job.rows("running_totals") if row["user_id"] in ("user1", "user2")}
        )
    assert steps == [{"user1": 50}, {"user1": 80, "user2": 20}, {"user1": 120, "user2": 80}]
    expected = transactions_oracle(job.messages(), None)
    found = {row["user_id"]: (row["total"], row["transactions"]) for row in job.rows("running_totals")}
    assert {user: found[user] for user in expected} == expected


def test_a_transaction_that_is_sent_twice_counts_once_and_one_that_is_late_is_reported(start: Start) -> None:
    job = start("running-totals")
    [first, *_] = [record for step in job.sample() for record in step]
    event = {**first.event, "userId": "repeated"}
    moment = event["transactionTime"]
    later = {**event, "transactionId": "tx-later", "transactionTime": moment + 3_600_000, "amount": 5.0}
    job.send_events(event, event)
    job.run()
    job.send_events(event, later)
    job.run()
    job.send_events({**event, "transactionId": "tx-late"})
    [report] = job.run()
    assert report.late == 1
    assert {row["user_id"]: row["total"] for row in job.rows("running_totals")}["repeated"] == Decimal("55.000000")


def test_expiring_totals_start_again_after_an_hour_without_a_transaction(start: Start) -> None:
    job = start("expiring-totals")
    for step in job.sample():
        job.send(step)
        job.run()
    expected = transactions_oracle(job.messages(), timedelta(hours=1))
    assert expected["user1"] == (Decimal("30"), 1)
    found = {row["user_id"]: (row["total"], row["transactions"]) for row in job.rows("expiring_totals")}
    assert {user: found[user] for user in expected} == expected


def sessions_oracle(events: list[Event], gap: timedelta) -> dict[tuple[str, datetime], tuple[datetime, int]]:
    """Return (user, start) -> (last event, number of events)."""
    found: dict[tuple[str, datetime], tuple[datetime, int]] = {}
    open_since: dict[str, datetime] = {}
    for event in sorted(events, key=lambda each: each["eventtimestamp"]):
        user, time = event["user_id"], event["eventtimestamp"]
        start = open_since.get(user)
        if start is not None and time - found[user, start][0] <= gap:
            found[user, start] = (time, found[user, start][1] + 1)
        else:
            open_since[user], found[user, time] = time, (time, 1)
    return found


def test_both_session_jobs_agree_with_each_other_and_with_plain_python(start: Start) -> None:
    kept = start("session-windows")
    kept.send(record for step in kept.sample() for record in step)
    kept.run()
    by_hand = start("user-sessions")
    by_hand.topic = kept.topic
    by_hand.run()
    expected = sessions_oracle(kept.messages(), timedelta(seconds=30))
    first = datetime(2023, 7, 30, 10, 0, tzinfo=UTC)
    assert expected["user1", first] == (first + timedelta(seconds=20), 2)

    def sessions(table: str) -> dict[tuple[str, datetime], tuple[datetime, int]]:
        return {(row["user_id"], row["session_start"]): (row["session_end"], row["events"]) for row in kept.rows(table)}

    assert sessions("user_sessions") == expected
    last = max(start for _, start in expected)
    assert sessions("session_windows") == {key: value for key, value in expected.items() if key[1] != last}


def test_an_alert_is_raised_once_with_the_same_id_in_the_topic_and_the_table(start: Start, settings: Settings) -> None:
    job = start("error-alerts")
    job.send(record for step in job.sample() for record in step)
    job.run()
    window = 15 * 60 * 1_000_000
    errors = query(
        f"SELECT eventtimestamp // {window} * {window}, count(*) FROM events WHERE event = 'error' GROUP BY ALL",
        job.messages(),
    )
    expected = {at(first) for first, count in errors if count > 100}
    assert len(expected) < len(errors)
    assert {row["window_start"] for row in job.rows("error_alerts")} == expected

    def alert_ids() -> Counter[str]:
        alerts = decoded(settings, "alerts", "alerts")
        return Counter(alert["alert_id"] for alert in alerts if alert["job"] == "error-alerts")

    once = alert_ids()
    assert len(once) == len(expected)
    assert set(once.values()) == {1}
    job.run()
    assert alert_ids() == once, "a second run without new errors raises nothing"
    job.begin_anew()
    job.run()
    assert alert_ids().keys() == once.keys(), "a replay sends the same ids"
    assert {row["window_start"] for row in job.rows("error_alerts")} == expected


def test_the_best_products_are_of_the_whole_window_and_leave_when_others_pass_them(start: Start) -> None:
    job = start("top-products")
    for step in job.sample():
        job.send(step)
        job.run()
        totals: dict[datetime, Counter[str]] = defaultdict(Counter)
        for event in job.messages():
            totals[at(_micros(event["event_time"]) // 1_800_000_000 * 1_800_000_000)][event["product_id"]] += event[
                "sales_amount"
            ]
        expected = {
            (window, rank): best
            for window, sums in totals.items()
            for rank, best in enumerate(sorted(sums.items(), key=lambda each: (-each[1], each[0]))[:3], start=1)
        }
        rows = job.rows("top_products")
        assert {(row["window_start"], row["rank"]): (row["product_id"], row["total_sales"]) for row in rows} == expected


def test_random_traffic_with_late_duplicate_and_broken_events_is_counted_or_reported(
    start: Start, settings: Settings
) -> None:
    from itertools import islice

    from producer.events import find
    from producer.plan import Wish, plan
    from producer.traffic import Mix

    seed = random.randrange(2**32)
    print(f"seed {seed}")
    job = start("user-clicks")
    decided = plan(Wish(seed=seed, count=2_000, over="20m"), lambda: datetime.now(UTC))
    records = list(islice(find("user-clicks").records(seed, Mix(broken=0.05), decided.timeline), 2_000))
    job.send(records)
    reports = job.run()
    good = [record for record in records if record.kind == "on_time"]
    expected: Counter[tuple[str, datetime]] = Counter()
    for record in good:
        minute = record.event["eventtimestamp"] // 60_000 * 60_000
        expected[record.event["user_id"], datetime.fromtimestamp(minute / 1_000, UTC)] += 1
    found = {(row["user_id"], row["window_start"]): row["clicks"] for row in job.rows("user_clicks")}
    assert found == expected
    assert sum(report.events for report in reports) == 2_000
    assert sum(report.dead for report in reports) == 2_000 - len(good)


def test_files_that_come_into_a_folder_are_counted_and_a_late_line_is_dropped_and_reported(
    start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    job = start("mobile-actions")
    job.job = job.job.in_mode("update")
    job.source = Folder(folder, files_per_batch=1)
    day = datetime(2018, 3, 2, tzinfo=UTC)

    def put(name: str, *times: str) -> None:
        lines = [
            json.dumps({"id": f"phone{number}", "action": "open", "ts": f"2018-03-02T{time}Z"})
            for number, time in enumerate(times)
        ]
        (tmp_path / name).write_text("\n".join([*lines, ""]))
        (tmp_path / name).rename(folder / name)

    put("1.json", "10:11:00", "10:25:00", "10:33:50")
    job.run()
    put("2.json", "10:29:45")
    job.run()
    put("3.json", "10:29:35", "10:11:35")
    [report] = job.run()
    first = day.replace(hour=10)
    assert (report.late, report.late_by_window) == (1, {first + 10 * MINUTE: 1})
    [late] = [row for row in job.rows("late_events") if row["job"] == "mobile-actions"]
    assert (late["window_start"], late["events"], late["events_once"]) == (first + 10 * MINUTE, 1, 1)
    # The newest event is of 10:33:50. A watermark of 13m50s would stand at 10:20, the window's end: too late.
    assert dict(late["delays"]) == {14 * 60: 1}
    assert "a watermark of 14m would have kept 99.9 %" in str(report)
    found = {row["window_start"]: row["actions"] for row in job.rows("mobile_actions") if row["action"] == "open"}
    assert found == {first + 10 * MINUTE: 1, first + 20 * MINUTE: 3, first + 30 * MINUTE: 1}

    put("4.json", "10:34:00")
    with (folder / "4.json").open("a") as file:
        file.write("not json\n")
    os.utime(folder / "4.json")
    [report] = job.run()
    assert report.dead == 1
    assert any("4.json line 2 not used: not_json: not json" in notice for notice in job.notices)


def test_rack_alerts_follow_event_time_and_reach_the_alert_topic(start: Start, settings: Settings) -> None:
    job = start("rack-alerts")
    changes = []
    for step in job.sample():
        job.send(random.sample(step, len(step)))
        job.run()
        changes.append(sorted((row["rack"], row["changed_at"], row["status"]) for row in job.rows("rack_alerts")))
    hot = datetime(2017, 6, 2, 8, 15, tzinfo=UTC)
    assert changes[:3] == [[], [], []]
    assert changes[3] == [("rack1", hot, "warning"), ("rack2", hot, "warning")]
    assert [change[2] for change in changes[-1]].count("normal") == 1
    alerts = {
        (alert["subject"], alert["at"], alert["status"])
        for alert in decoded(settings, "alerts", "alerts")
        if alert["job"] == "rack-alerts"
    }
    assert alerts == set(changes[-1])


def test_fruit_without_a_category_does_not_appear(start: Start) -> None:
    job = start("fruit-categories")
    job.send(record for step in job.sample() for record in step)
    job.send_events({"id": 9_999, "value": "durian", "timestamp": 1_700_000_000_000})
    job.run()
    rows = job.rows("fruit_categories")
    assert len(rows) == 30
    named = {row["id"]: (row["value"], row["category"]) for row in rows}
    assert [named[number] for number in (1, 2, 22, 26)] == [
        ("apple", "fruit"),
        ("banana", "fruit"),
        ("vanilla bean", "spice"),
        ("zucchini", "vegetable"),
    ]
