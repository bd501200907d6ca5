"""`adstream dashboard` in a browser, on real services: pages show the same figures as tables, topics and jobs."""

import re
import secrets
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cassandra.cluster import Session

from adstream.dashboard.statements import STATEMENTS
from adstream.dashboard.store import Store
from adstream.dead_letters.letters import letter_of
from common.cassandra.cql_files import committed
from common.cassandra.migrations import migrate
from common.cassandra.session import connect
from common.kafka import end_offsets
from common.provision import prepare
from common.settings import Settings
from common.system.running import running_jobs
from common.text.hexdump import hexdump
from producer.events import SOURCES
from producer.publisher import AvroPublisher
from producer.records import Record
from producer.run import run as send_all
from stack import dashboard as service
from stack import local
from stack.cassandra import CASSANDRA
from tests.browser.browser import Browser, opened, require_browser
from tests.e2e.commands import adstream, everything_on, free_port, started
from tests.e2e.pipeline import AD_TABLES, Pipeline
from tests.e2e.running_job import Job, running_job

IMAGES = Path(__file__).parents[2] / "docs" / "images"
TABLES = (
    *AD_TABLES, "sensor_averages", "hourly_sales", "top_products", "order_values", "rack_temperatures", "rack_alerts",
)  # fmt: skip
EVENTS = 3_000
MIX = ("--ads", "12", "--late", "0.02", "--out-of-order", "0.1", "--duplicates", "0.02", "--broken", "0.02")
# A name that would take effect if anything read it as HTML, Markdown or an address.
HOSTILE = "<img src=x onerror=document.title='owned'> ![p](http://192.0.2.1/p.png) **b** $x$ `c`"
PAGES = {
    "": "adstream produce ads",
    "pipeline": "adstream stream ad-metrics",
    "sensors": "adstream produce sensors",
    "sales": "adstream produce sales",
    "racks": "adstream produce racks",
}


@pytest.fixture(scope="module")
def system(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Topics, schemas, keyspace and tables of this module's own. Nothing has been sent yet."""
    name = secrets.token_hex(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADSTREAM_TOPIC_ADS", f"ads-{name}")
        patch.setenv("ADSTREAM_TOPIC_DEAD_LETTERS", f"dead-{name}")
        patch.setenv("ADSTREAM_TOPIC_UPDATES", f"updates-{name}")
        patch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"ads_{name}")
        patch.setenv("ADSTREAM_SPARK_UI", "false")
        settings = Settings()
        prepare(settings)
        migrate(settings, migrations=[each for each in committed() if each.name in TABLES])
        yield Pipeline(settings, tmp_path_factory.mktemp("job") / "checkpoint")


class Tables:
    """Reads Cassandra through the driver itself. Tests may read whole tables here."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return [row._asdict() for row in self._session.execute(statement, values)]

    def insert(self, table: str, **values: object) -> None:
        columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        self._session.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))


@pytest.fixture(scope="module")
def tables(system: Pipeline) -> Iterator[Tables]:
    cassandra = system.settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        yield Tables(session)


@pytest.fixture(scope="module")
def browser(system: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require_browser()
    port = free_port()
    with started("dashboard", "--port", str(port)) as running:
        line = running.stdout.readline() if running.stdout else ""
        assert line == f"The dashboard is at http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        with opened(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("profile")) as browser:
            yield browser


@pytest.fixture(scope="module")
def begun(system: Pipeline) -> Iterator[Job]:
    """ad-metrics over events of the last minutes, one with a hostile name.

    It starts while tests look at other pages.
    """
    system.produce("--count", str(EVENTS), "--over", "5m", *MIX)
    send("ads", {"ad_id": HOSTILE, "timestamp": millis(), "clicks": 3, "views": 0, "cost": 99.0, "event_id": "hostile"})
    with running_job(system, most_events=600) as job:
        yield job


@pytest.fixture(scope="module")
def job(begun: Job) -> Job:
    """The job after it has processed all events. It goes on running."""
    begun.await_events(EVENTS + 1)
    return begun


def millis() -> int:
    return int((datetime.now(UTC) - timedelta(minutes=1)).timestamp() * 1_000)


def send(source: str, event: dict[str, Any]) -> None:
    found, settings = SOURCES[source], Settings()
    topic = found.topic(settings)
    record = Record(str(event[found.key]), event)
    publisher = AvroPublisher(settings, topic, found.contract(topic))
    send_all(publisher, [record], 0, threading.Event(), lambda _sent, _acknowledged: None)


def naive(**back: float) -> datetime:
    """Return a time before now as Cassandra's driver returns it: in UTC, without a time zone."""
    return (datetime.now(UTC) - timedelta(**back)).replace(tzinfo=None)


def picture(browser: Browser, request: pytest.FixtureRequest, name: str, height: int, *, end: bool = False) -> None:
    """Save a picture into docs/images, if the run has `--pictures`."""
    if request.config.getoption("--pictures"):
        browser.picture(IMAGES / f"{name}.png", height, end=end)


def test_before_the_first_event_each_page_says_in_one_line_what_to_run(browser: Browser) -> None:
    for path, command in PAGES.items():
        browser.open(path)
        browser.until_text(command)
        assert "Traceback" not in browser.text


def test_cassandra_finds_each_statement_s_partition_by_its_parameters(begun: Job) -> None:
    store = Store()
    try:
        assert {name for name, each in STATEMENTS.items() if not store.routing_keys(each)} == set()
    finally:
        store.close()


def test_sensors_are_those_of_the_table_and_the_page_refreshes_by_itself(
    browser: Browser, tables: Tables, request: pytest.FixtureRequest
) -> None:
    assert adstream("produce", "sensors", "--count", "50", "--keys", "3").returncode == 0
    for number in (1, 2, 3):
        for back in range(12):
            start = naive(minutes=5 * back + 5).replace(second=0, microsecond=0)
            measured = 70 + 2 * number + (back * number) % 5
            tables.insert(
                "sensor_averages", sensor_id=f"sensor-{number:02}", day=start.date(), window_start=start,
                window_end=start + timedelta(minutes=5), avg_temperature=measured + 0.125, reading_count=20 + back,
                min_temperature=measured - 1.5, max_temperature=measured + 2.25, processing_time=start,
            )  # fmt: skip
    browser.open("sensors")
    browser.until_text("The newest window of each")
    browser.until(lambda: len(browser.table("sensor-table")) == 3, "three sensors are shown")
    day = naive(minutes=5).date()
    first = {row["sensor"]: row for row in browser.table("sensor-table")}["sensor-02"]
    stored = tables.query("SELECT * FROM sensor_averages WHERE sensor_id = 'sensor-02' AND day = %s LIMIT 1", day)[0]
    assert first == {
        "sensor": "sensor-02",
        "from (UTC)": f"{stored['window_start']:%Y-%m-%d %H:%M:%S}",
        "to": f"{stored['window_end']:%H:%M:%S}",
        "readings": str(stored["reading_count"]),
        "average °C": f"{stored['avg_temperature']:.2f}",
        "lowest": f"{stored['min_temperature']:.2f}",
        "highest": f"{stored['max_temperature']:.2f}",
    }
    picture(browser, request, "dashboard-sensors", 950)
    start = stored["window_start"] + timedelta(minutes=5)
    tables.insert(
        "sensor_averages", sensor_id="sensor-02", day=start.date(), window_start=start,
        window_end=start + timedelta(minutes=5), avg_temperature=123.5, reading_count=4_711, min_temperature=1.0,
        max_temperature=2.0, processing_time=start,
    )  # fmt: skip
    browser.until(lambda: "4,711" in str(browser.table("sensor-table")), "the new window appears without a reload")


def test_sales_are_those_of_the_tables(browser: Browser, tables: Tables, request: pytest.FixtureRequest) -> None:
    end = naive(minutes=30)
    half = end.replace(minute=end.minute // 30 * 30, second=0, microsecond=0)
    for number in range(1, 6):
        for back in range(5):
            start = half.replace(minute=0) - timedelta(hours=back)
            tables.insert(
                "hourly_sales", day=start.date(), window_start=start, product_id=f"product-{number:03}",
                window_end=start + timedelta(hours=1), total_sales=40 * number + 7 * back, last_updated=start,
            )  # fmt: skip
    for back in range(3):
        start = half - timedelta(minutes=30 * back)
        for rank in (1, 2, 3):
            tables.insert(
                "top_products", window_start=start, rank=rank, window_end=start + timedelta(minutes=30),
                product_id=f"product-{rank + back:03}", total_sales=1_000 - 100 * rank - back, last_updated=start,
            )  # fmt: skip
    start = half.replace(minute=0)
    tables.insert(
        "order_values", day=start.date(), window_start=start, window_end=start + timedelta(hours=1), orders=1_234,
        average_order_value=Decimal("56.789012"), last_updated=start,
    )  # fmt: skip
    browser.open("sales")
    browser.until(lambda: browser.table("orders"), "the orders are shown")
    assert browser.table("orders")[0]["orders"] == "1,234"
    assert browser.table("orders")[0]["average value"] == "56.789012"
    key = f"top-{half:%Y%m%dT%H%M%S}"
    browser.until(lambda: len(browser.table(key)) == 3, "the newest ranking is shown")
    stored = tables.query("SELECT * FROM top_products WHERE window_start = %s", half)
    assert browser.table(key) == [
        {"rank": str(row["rank"]), "product": row["product_id"], "sales": f"{row['total_sales']:,}"} for row in stored
    ]
    assert f"Sales per hour on {start.date()}" in browser.text
    picture(browser, request, "dashboard-sales", 1_150)


def test_racks_and_their_alerts_are_those_of_the_tables(
    browser: Browser, tables: Tables, request: pytest.FixtureRequest
) -> None:
    assert adstream("produce", "racks", "--count", "50", "--keys", "2").returncode == 0
    for rack, warmth in (("all", 88.0), ("rack-01", 80.5), ("rack-02", 95.5)):
        for back in range(12):
            start = naive(minutes=5 * back + 10).replace(second=0, microsecond=0)
            tables.insert(
                "rack_temperatures", rack=rack, day=start.date(), window_start=start,
                window_end=start + timedelta(minutes=10), avg_temperature=warmth - back % 4, readings=30,
                last_updated=start,
            )  # fmt: skip
    changed = naive(minutes=12).replace(microsecond=0)
    for at, status in ((changed - timedelta(minutes=9), "normal"), (changed, "warning")):
        tables.insert(
            "rack_alerts", rack="rack-02", day=at.date(), changed_at=at, status=status, temperature=102.5,
            last_updated=at,
        )  # fmt: skip
    browser.open("racks")
    browser.until(lambda: len(browser.table("rack-table")) == 3, "two racks and all of them are shown")
    shown = {row["rack"]: (row["status"], row["average"]) for row in browser.table("rack-table")}
    assert shown == {"all": ("-", "88.00"), "rack-01": ("normal", "80.50"), "rack-02": ("warning", "95.50")}
    browser.until(lambda: browser.table("rack-alerts"), "the changes are shown")
    assert browser.table("rack-alerts")[0] == {
        "at (UTC)": f"{changed:%Y-%m-%d %H:%M:%S}", "rack": "rack-02", "status": "warning", "temperature": "102.50",
    }  # fmt: skip
    picture(browser, request, "dashboard-racks", 1_050)


def test_the_ads_on_top_are_those_of_the_newest_window_in_the_table(
    browser: Browser, tables: Tables, job: Job, request: pytest.FixtureRequest
) -> None:
    browser.open("")
    browser.until(lambda: len(browser.table("top-ads")) >= 10, "the top ads are shown")
    browser.until(lambda: "Cost per view" in browser.figures(), "sums are shown")

    def agrees() -> bool:
        """Read page and table while the clock stands still. Otherwise a window may end between the two reads."""
        said = re.search(r"The window ([-0-9]+ [:0-9]+) to ([:0-9]+) UTC", browser.text)
        if said is None:
            return False
        start = datetime.fromisoformat(said[1])
        stored = tables.query("SELECT * FROM ad_metrics_by_window")
        rows = sorted(
            (row for row in stored if row["window_start"] == start), key=lambda row: (-row["total_cost"], row["ad_id"])
        )
        totals = {row["ad_id"]: row for row in tables.query("SELECT * FROM ad_metrics")}
        expected = [
            {
                "ad": row["ad_id"],
                "clicks": f"{row['total_clicks']:,}",
                "views": f"{row['total_views']:,}",
                "cost": f"{row['total_cost']:,}",
                "clicks in all": f"{totals[row['ad_id']]['total_clicks']:,}",
                "views in all": f"{totals[row['ad_id']]['total_views']:,}",
                "cost in all": f"{totals[row['ad_id']]['total_cost']:,}",
            }
            for row in rows[:10]
        ]
        shown, figures = browser.table("top-ads"), browser.figures()
        return (
            start == max(row["window_start"] for row in stored if row["window_end"] <= naive())
            and shown == expected
            and figures["Clicks"] == f"{sum(row['total_clicks'] for row in rows):,}"
            and figures["Views"] == f"{sum(row['total_views'] for row in rows):,}"
            and figures["Cost"] == f"{sum(row['total_cost'] for row in rows):,}"
        )

    browser.until(agrees, "the page agrees with the tables")
    picture(browser, request, "dashboard-ads", 1_600)


def test_one_ad_is_shown_with_its_totals_and_windows(browser: Browser, tables: Tables, job: Job) -> None:
    browser.open("?ad=ad-003")
    total = tables.query("SELECT * FROM ad_metrics WHERE ad_id = 'ad-003'")[0]
    expected = {
        "Clicks in all": f"{total['total_clicks']:,}",
        "Views in all": f"{total['total_views']:,}",
        "Cost in all": f"{total['total_cost']:,}",
        "Cost per view in all": f"{total['avg_cost_per_view']}",
    }
    browser.until(lambda: expected.items() <= browser.figures().items(), f"its totals are {expected}")
    stored = tables.query("SELECT * FROM ad_metrics_by_window WHERE ad_id = 'ad-003' ALLOW FILTERING")
    browser.until_text(f"{len(stored)} windows, newest first")
    browser.driver.find_element("css selector", "details summary").click()
    browser.until(lambda: browser.table("windows"), "the windows are shown")
    newest = max(stored, key=lambda row: row["window_start"])
    assert browser.table("windows")[0] == {
        "from (UTC)": f"{newest['window_start']:%Y-%m-%d %H:%M:%S}",
        "to": f"{newest['window_end']:%H:%M:%S}",
        "clicks": f"{newest['total_clicks']:,}",
        "views": f"{newest['total_views']:,}",
        "cost": f"{newest['total_cost']:,}",
        "cost per view": f"{newest['avg_cost_per_view']}",
    }


def test_a_hostile_name_is_shown_as_it_is_and_does_nothing(browser: Browser, job: Job) -> None:
    browser.open("")
    browser.until(lambda: browser.table("top-ads"), "the top ads are shown")
    browser.choose("Ad", HOSTILE)
    browser.until(lambda: browser.figures().get("Clicks in all") == "3", "its totals are shown")
    assert browser.figures()["Cost in all"] == "99.000000"
    assert browser.figures()["Cost per view in all"] == "-"
    browser.choose("Ad", f"2 {HOSTILE}")
    browser.until_text(f"Nothing is stored for ad 2 {HOSTILE}")
    assert browser.driver.title == "adstream"
    assert not browser.driver.find_elements("css selector", "img[src='x'], img[src*='192.0.2.1']")


def test_the_pipelines_health_is_what_the_job_and_kafka_say(
    browser: Browser, system: Pipeline, job: Job, request: pytest.FixtureRequest
) -> None:
    found = running_jobs(Settings())
    assert [each.job for each in found] == ["ad-metrics"]

    def agrees() -> bool:
        """Ask the job again each time: an idle job runs a batch now and then."""
        batches = httpx.get(f"{found[0].url}/progress", timeout=10, trust_env=False).json()["batches"]
        sums = {
            label: sum(batch[name] for batch in batches)
            for label, name in (("Late", "late"), ("Duplicates", "duplicates"), ("Dead letters", "dead"))
        }
        expected = {
            "Lag, events": "0",
            "State, MB": f"{batches[-1]['state_bytes'] / 1024**2:,.2f}",
            **{label: f"{count:,}" for label, count in sums.items()},
        }
        return all(sums.values()) and expected.items() <= browser.figures().items()

    browser.open("pipeline")
    browser.until_text("ad-metrics over", "batches")
    browser.until(agrees, "the page says what the job says")
    browser.until_text("Freshness: the newest event in the tables is")
    ends = end_offsets(system.settings, system.settings.topic.ads)
    browser.until(lambda: len(browser.table("partitions")) == len(ends), "all partitions are shown")
    assert {int(row["partition"]): int(row["read to"].replace(",", "")) for row in browser.table("partitions")} == ends
    letters = len(system.dead_letters())
    browser.until(lambda: count(browser, "dead-by-reason") == letters == count(browser, "reasons"), "all are counted")
    picture(browser, request, "dashboard-pipeline", 1_250)


def count(browser: Browser, table: str) -> int:
    return sum(int(row["letters"].replace(",", "")) for row in browser.table(table))


def test_a_dead_letter_is_shown_down_to_its_bytes(
    browser: Browser, system: Pipeline, job: Job, request: pytest.FixtureRequest
) -> None:
    letters = [letter_of(message) for message in system.dead_letters()]
    letter = next(each for each in letters if each and each.reason.endswith("_negative"))
    field = letter.reason.removesuffix("_negative")
    browser.open("pipeline")
    browser.choose("Look into one", str(letter.place))
    message = next(
        each
        for each in everything_on(system.settings, letter.place.topic)
        if (each.partition(), each.offset()) == (letter.place.partition, letter.place.offset)
    )
    value = message.value() or b""
    browser.until_text(*(line.split("|")[0].strip() for line in hexdump(value, 512)), f"{field} is -")
    assert f"adstream dead-letters replay {letter.place} --set {field}=" in browser.text
    picture(browser, request, "dashboard-dead-letter", 1_050, end=True)


def test_nobody_else_was_asked_for_anything(browser: Browser, job: Job) -> None:
    assert browser.elsewhere() == []


def test_services_that_go_and_come_back_are_told_and_read_again(browser: Browser, system: Pipeline, job: Job) -> None:
    job.end()
    browser.open("pipeline")
    browser.until_text("No job runs on this machine: start", "adstream stream ad-metrics")
    browser.open("")
    browser.until(lambda: browser.table("top-ads"), "the top ads are shown")
    local.down(Settings(), only=[CASSANDRA])
    try:
        browser.until_text("No Cassandra node answers at 127.0.0.1", "start one with adstream up")
        assert "Traceback" not in browser.text
    finally:
        local.up(Settings())
    browser.until(lambda: browser.table("top-ads") and "No Cassandra node" not in browser.text, "it reads again")


def test_it_is_a_service_that_outlives_its_starter_until_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    settings = Settings()
    begun = service.begin(settings)
    try:
        url = service.answering(begun)
        assert service.begin(settings) == begun
        assert httpx.get(url, timeout=10, trust_env=False).status_code == 200
        assert [one.problem for one in local.status(settings) if one.name == "dashboard"] == [None]
    finally:
        assert local.down(settings) == ["dashboard"]
    assert begun.running.process() is None


def test_ctrl_c_ends_it_cleanly() -> None:
    with started("dashboard", "--port", str(free_port())) as running:
        assert running.stdout
        assert running.stdout.readline().startswith("The dashboard is at ")
        running.send_signal(signal.SIGINT)
        _said, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (0, "")
