"""The documented data, figure by figure: plain Python counts each sample here, without a pattern."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import mean

import fastavro
import pytest

from common import contracts
from producer.daily_sales import SaleRow, sales_of, sample_sales
from producer.events import SAMPLES, SOURCES, find, job_of, known, of_contract
from producer.samples import Event
from producer.source import Source
from producer.timeline import millis
from streaming.jobs import JOBS

MINUTE = 60_000


def events(job: str) -> list[Event]:
    return SAMPLES[job].events


def clock(job: str) -> list[tuple[str, ...]]:
    """Return all events as text: key, then the other values, then the time of day without the date."""
    source = find(job)
    return [
        (*(value for name, value in event.items() if name != source.time_field), time(event[source.time_field]))
        for event in events(job)
    ]


def time(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%H:%M:%S")


def days(job: str) -> set[str]:
    return {datetime.fromtimestamp(e[find(job).time_field] / 1000, UTC).strftime("%Y-%m-%d") for e in events(job)}


def windows(timestamp: int, minutes: int, slide: int | None = None) -> list[str]:
    """Return the starts of the windows that contain the timestamp."""
    step = (slide or minutes) * MINUTE
    last = timestamp - timestamp % step
    return [time(start) for start in range(last, timestamp - minutes * MINUTE, -step)]


def test_every_job_has_a_sample_of_the_topic_that_it_reads() -> None:
    assert SAMPLES.keys() <= JOBS.keys()
    for name, job in JOBS.items():
        source = of_contract(job.contract)
        assert (source.contract_name, source.json) == (job.contract, job.json)
        assert source.sample(name).events
        assert known(name) in (source, None)
        assert job_of(name) == name
    assert job_of("clickstream") == "user-clicks"


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_samples_fit_their_contract_and_are_in_the_order_of_time(source: Source) -> None:
    schema = fastavro.parse_schema(contracts.latest(source.contract_name).schema)
    for sample in source.jobs.values():
        assert all(fastavro.validate(event, schema, strict=True) for event in sample.events)
        times = [event[source.time_field] for event in sample.events]
        assert times == sorted(times)
        assert [event for step in sample.steps for event in step] == sample.events


def test_ad_metrics() -> None:
    counted = {event["event_id"]: event for event in events("ad-metrics")}.values()
    assert (len(events("ad-metrics")), len(counted)) == (11, 10)
    totals: dict[str, tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal(0)))
    for ad in counted:
        clicks, views, cost = totals[ad["ad_id"]]
        totals[ad["ad_id"]] = clicks + ad["clicks"], views + ad["views"], cost + Decimal(str(ad["cost"]))
    assert totals == {"ad1": (7, 120, Decimal("5.40")), "ad2": (2, 30, Decimal("2.00")), "ad3": (0, 0, Decimal(0))}


@pytest.mark.parametrize("seconds", [0, 1, 39, 40, 41, 59])
def test_ad_metrics_move_to_the_last_minutes_and_keep_their_windows(seconds: int) -> None:
    now = millis("2026-05-04T12:30:00Z") + seconds * 1000
    (step,) = find("ad-metrics").sample_steps("ad-metrics", now)
    shifts = {
        record.event["timestamp"] - event["timestamp"] for record, event in zip(step, events("ad-metrics"), strict=True)
    }
    assert len(shifts) == 1
    assert shifts.pop() % MINUTE == 0
    assert now - MINUTE < max(record.event["timestamp"] for record in step) <= now


def test_only_the_job_with_a_lateness_has_its_sample_moved() -> None:
    assert "ad-metrics" in {job for job, sample in SAMPLES.items() if sample.recent}
    for name, job in JOBS.items():
        assert of_contract(job.contract).sample(name).recent or not job.lateness
    assert all(JOBS[name].lateness for name, sample in SAMPLES.items() if sample.recent)


def test_ad_tail_and_ad_clicks() -> None:
    assert len({event["event_id"] for event in events("ad-tail")}) == 10
    clicks: Counter[tuple[str, str]] = Counter()
    for ad in events("ad-clicks"):
        second = ad["timestamp"] // 1000
        for start in range(second - second % 10, second - 30, -10):
            clicks[ad["ad_id"], time(start * 1000)] += ad["clicks"]
    full = {("ad1", f"10:00:{second:02}"): 6 for second in (0, 10, 20, 30)}
    edges = {("ad1", "09:59:40"): 2, ("ad1", "09:59:50"): 4, ("ad1", "10:00:40"): 4, ("ad1", "10:00:50"): 2}
    assert clicks == full | edges | {("ad2", f"10:00:{second:02}"): 3 for second in (0, 10, 20)}


@pytest.mark.parametrize("job", ["sensor-averages", "sensor-moving-averages"])
def test_sensors(job: str) -> None:
    *readings, closing = events(job)
    assert len(readings) == 300
    assert {b["timestamp"] - a["timestamp"] for a, b in pairwise(readings)} == {3_000}
    assert Counter(each["sensor_id"] for each in readings) == {f"sensor{n}": 60 for n in range(1, 6)}
    assert all(60 <= each["temperature"] <= 90 for each in readings)
    assert len({each["temperature"] for each in readings}) > 100
    tumbling = {(each["sensor_id"], start) for each in readings for start in windows(each["timestamp"], 5)}
    sliding = {(each["sensor_id"], start) for each in readings for start in windows(each["timestamp"], 5, 1)}
    assert (len(tumbling), len(sliding)) == (15, 95)
    last_end = readings[-1]["timestamp"] + 5 * MINUTE
    assert closing["sensor_id"] == "closing"
    assert closing["timestamp"] - 30_000 > last_end


@pytest.mark.parametrize("job", ["transaction-totals", "transaction-windows"])
def test_transactions(job: str) -> None:
    wanted = [(f"user{n % 3 + 1}", 100 * (n + 1), f"10:{n:02}:00") for n in range(51)]
    assert clock(job) == wanted
    assert days(job) == {"2023-07-30"}
    totals: Counter[str] = Counter()
    for event in events(job):
        totals[event["user_id"]] += event["amount"]
    assert totals == {"user1": 42_500, "user2": 44_200, "user3": 45_900}
    assert totals.total() == 132_600


def test_running_totals() -> None:
    assert SAMPLES["running-totals"].steps == [
        [payment("tx1001", "user1", 50.0, 1_700_000_000)],
        [payment("tx1002", "user1", 30.0, 1_700_000_020), payment("tx2001", "user2", 20.0, 1_700_000_040)],
        [payment("tx1003", "user1", 40.0, 1_700_000_060), payment("tx2002", "user2", 60.0, 1_700_000_080)],
    ]


def payment(transaction: str, user: str, amount: float, seconds: int) -> Event:
    return {"userId": user, "transactionId": transaction, "transactionTime": seconds * 1000, "amount": amount}


def test_expiring_totals() -> None:
    first, second = SAMPLES["expiring-totals"].steps
    assert [(e["userId"], e["amount"], time(e["transactionTime"])) for e in first] == [
        ("user1", 100.0, "10:00:00"),
        ("user1", 50.0, "10:15:00"),
        ("user2", 200.0, "10:30:00"),
    ]
    assert [(e["userId"], e["amount"], time(e["transactionTime"])) for e in second] == [("user1", 30.0, "11:30:00")]
    assert days("expiring-totals") == {"2025-03-29"}
    assert len({event["transactionId"] for event in first + second}) == 4


CLICKS = [
    ("user1", "10:00:00"),
    ("user1", "10:00:20"),
    ("user2", "10:01:00"),
    ("user1", "10:01:20"),
    ("user2", "10:02:00"),
]


@pytest.mark.parametrize("job", ["user-clicks", "user-sessions", "session-windows"])
def test_clicks_and_sessions(job: str) -> None:
    found = [(user, at) for user, _event, at in clock(job)]
    assert found[:5] == CLICKS
    assert days(job) == {"2023-07-30"}
    if job == "session-windows":
        # So late that every session is closed, with a gap of half an hour and a watermark of 10 minutes.
        assert found[5:] == [("closing", "11:00:00")]
    else:
        assert found[5:] == []


def test_unique_visitors() -> None:
    visitors: dict[str, set[str]] = defaultdict(set)
    for event in events("unique-visitors"):
        for start in windows(event["eventtimestamp"], 60, 30):
            visitors[start].add(event["user_id"])
    found = {start: len(users) for start, users in visitors.items()}
    assert found == {"09:30:00": 3, "10:00:00": 4, "10:30:00": 4, "11:00:00": 2}


def test_error_alerts() -> None:
    seen = Counter((windows(e["eventtimestamp"], 15)[0], e["event"]) for e in events("error-alerts"))
    assert seen == {("10:00:00", "error"): 102, ("10:15:00", "error"): 100, ("10:15:00", "view"): 5}


def test_fruit_categories() -> None:
    rows = clock("fruit-categories")
    assert len(rows) == 30
    assert rows[:2] == [(1, "apple", "10:00:00"), (2, "banana", "10:00:10")]
    assert rows[21][:2] == (22, "vanilla bean")
    assert rows[25][:2] == (26, "zucchini")
    assert [number for number, _, _ in rows] == list(range(1, 31))
    assert rows[29][2] == "10:04:50"
    lookup = JOBS["fruit-categories"].lookup
    assert lookup
    table = dict(line.split(",") for line in lookup.path.read_text(encoding="utf-8").splitlines()[1:])
    assert table.keys() == {str(number) for number, _, _ in rows}
    assert (table["1"], table["22"], table["26"]) == ("fruit", "spice", "vegetable")


def test_hourly_sales() -> None:
    totals: Counter[tuple[str, str]] = Counter()
    for sale in events("hourly-sales"):
        totals[windows(sale["event_time"], 60)[0], sale["product_id"]] += sale["sales_amount"]
    assert totals == {
        ("10:00:00", "product1"): 100,
        ("10:00:00", "product2"): 50,
        ("11:00:00", "product1"): 30,
        ("11:00:00", "product2"): 90,
        ("11:00:00", "product3"): 10,
        ("12:00:00", "product3"): 70,
    }
    assert totals.total() == 350


def test_top_products() -> None:
    totals: Counter[tuple[str, str]] = Counter()
    tables = []
    for step in SAMPLES["top-products"].steps:
        for sale in step:
            totals[windows(sale["event_time"], 30)[0], sale["product_id"]] += sale["sales_amount"]
        tables.append({start: top_three(totals, start) for start, _ in totals})
    assert tables == [
        {"10:00:00": [("product1", 100), ("product2", 80), ("product3", 60)]},
        {
            "10:00:00": [("product1", 100), ("product2", 80), ("product4", 80)],
            "10:30:00": [("product1", 40), ("product2", 40), ("product3", 40)],
        },
    ]
    assert totals["10:30:00", "product4"] == 40


def top_three(totals: Counter[tuple[str, str]], window: str) -> list[tuple[str, int]]:
    of_window = [(product, total) for (start, product), total in totals.items() if start == window]
    return sorted(of_window, key=lambda each: (-each[1], each[0]))[:3]


def test_logins() -> None:
    found = Counter(windows(event["timestamp"], 5)[0] for event in events("logins"))
    assert found == {"10:00:00": 5, "10:05:00": 4, "10:10:00": 3}


def test_order_values() -> None:
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for order in events("order-values"):
        amounts[windows(order["timestamp"], 60)[0]].append(Decimal(str(order["amount"])))
    averages = {start: round(mean(values), 6) for start, values in amounts.items()}
    assert averages == {"10:00:00": 20, "11:00:00": Decimal("0.2"), "12:00:00": Decimal("33.333333")}


def test_mobile_actions() -> None:
    found = Counter((windows(event["ts"], 10)[0], event["action"]) for event in events("mobile-actions"))
    assert found == {("10:00:00", "open"): 8, ("10:00:00", "close"): 6, ("10:10:00", "open"): 2}
    assert days("mobile-actions") == {"2018-03-02"}


RACKS = {"rack1": [99.5, 100.5, 101.0, 102.0], "rack2": [99.5, 105.5, 104.0, 108.0]}


def readings(job: str) -> dict[str, list[float]]:
    """Return the temperatures by rack. A rack's readings are five minutes apart."""
    found: dict[str, list[float]] = defaultdict(list)
    for event in events(job):
        assert time(event["ts"]) == f"08:{5 * len(found[event['rack']]):02}:00"
        found[event["rack"]].append(event["temperature"])
    assert days(job) == {"2017-06-02"}
    return found


def test_rack_temperatures() -> None:
    assert readings("rack-temperatures") == RACKS
    averages: dict[str, list[float]] = defaultdict(list)
    for event in events("rack-temperatures"):
        for start in windows(event["ts"], 10, 5):
            averages[start].append(event["temperature"])
    assert {start: mean(values) for start, values in averages.items()} == {
        "07:55:00": 99.5,
        "08:00:00": 101.25,
        "08:05:00": 102.75,
        "08:10:00": 103.75,
        "08:15:00": 105.0,
    }


def test_rack_alerts() -> None:
    cool = readings("rack-alerts").pop("rack3")
    assert max(cool) < 100
    assert len(cool) == 4
    assert readings("rack-alerts") == {**RACKS, "rack1": [*RACKS["rack1"], 99.0], "rack3": cool}


def test_daily_sales() -> None:
    rows = list(sample_sales())
    assert len(rows) == 999
    assert Counter(row.transaction_date.isoformat() for row in rows) == {
        "2025-01-14": 333, "2025-01-15": 333, "2025-01-16": 333,
    }  # fmt: skip
    revenue: dict[int, Decimal] = defaultdict(Decimal)
    for row in rows:
        assert row.amount == row.quantity * row.unit_price
        revenue[row.product_id] += row.amount
    assert revenue == {101: Decimal("105992.19"), 102: Decimal("108092.78"), 103: Decimal("117329.77")}
    assert sum(revenue.values()) == Decimal("331414.74")
    assert len({(row.transaction_date, row.product_id) for row in rows}) == 9


def test_sales_of_a_day_come_from_the_seed() -> None:
    day = datetime(2025, 2, 1, tzinfo=UTC).date()
    first = list(sales_of(day, 7, 50))
    assert first == list(sales_of(day, 7, 50))
    assert len(first) == 50
    assert {row.transaction_date for row in first} == {day}
    assert first != list(sales_of(day, 8, 50))

    def without_the_day(rows: list[SaleRow]) -> list[tuple[object, ...]]:
        return [row[1:] for row in rows]

    assert without_the_day(first) != without_the_day(list(sales_of(day + timedelta(days=1), 7, 50)))
