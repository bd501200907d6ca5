"""`adstream dashboard` in a browser, on real services: pages show the same figures as tables, topics and jobs."""

import re
import signal
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx2 as httpx
import pytest

from adstream.dashboard.ads import TOP
from adstream.dashboard.elements import per_view
from adstream.dashboard.statements import STATEMENTS
from adstream.dashboard.store import Store
from adstream.dead_letters.letters import letter_of
from common.kafka import end_offsets
from common.settings import Settings
from common.system.running import running_jobs
from common.text.hexdump import hexdump
from stack import dashboard as service
from stack import dashboard_port, local
from stack.cassandra import CASSANDRA
from stack.host import ports
from tests.browser.ad_events import HOSTILE
from tests.browser.browser import Browser
from tests.browser.tables import Tables, naive
from tests.e2e.commands import adstream, everything_on, free_port, started
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import Job

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PAGES = {
    "": "adstream produce ads",
    "pipeline": "adstream stream ad-metrics",
    "sensors": "adstream produce sensors",
    "sales": "adstream produce sales",
    "racks": "adstream produce racks",
}


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
    newest = naive(minutes=5).replace(second=0, microsecond=0)
    for number in (1, 2, 3):
        for back in range(12):
            start = newest - timedelta(minutes=5 * back)
            measured = 70 + 2 * number + (back * number) % 5
            tables.insert(
                "sensor_averages", sensor_id=f"sensor-{number:02}", day=start.date(), window_start=start,
                window_end=start + timedelta(minutes=5), avg_temperature=measured + 0.125, reading_count=20 + back,
                min_temperature=measured - 1.5, max_temperature=measured + 2.25, processing_time=start,
            )  # fmt: skip
    browser.open("sensors")
    browser.until_text("The newest window of each")
    shown = {row["sensor"]: row for row in browser.until_rows("sensor-table", 3)}
    newest_of = "SELECT * FROM sensor_averages WHERE sensor_id = 'sensor-02' AND day = %s LIMIT 1"
    stored = tables.query(newest_of, newest.date())[0]
    assert shown["sensor-02"] == {
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
    orders = browser.until_rows("orders")[0]
    assert (orders["orders"], orders["average value"]) == ("1,234", "56.789012")
    ranking = browser.until_rows(f"top-{half:%Y%m%dT%H%M%S}", 3)
    stored = tables.query("SELECT * FROM top_products WHERE window_start = %s", half)
    assert ranking == [
        {"rank": str(row["rank"]), "product": row["product_id"], "sales": f"{row['total_sales']:,}"} for row in stored
    ]
    browser.until_text(f"Sales per hour on {start.date()}")
    picture(browser, request, "dashboard-sales", 1_150)


def test_racks_and_their_alerts_are_those_of_the_tables(
    browser: Browser, tables: Tables, request: pytest.FixtureRequest
) -> None:
    assert adstream("produce", "racks", "--count", "50", "--keys", "3").returncode == 0
    newest = naive(minutes=10).replace(second=0, microsecond=0)
    for rack, warmth in (("all", 88.0), ("rack-01", 80.5), ("rack-02", 95.5), ("rack-03", 88.5)):
        for back in range(12):
            start = newest - timedelta(minutes=5 * back)
            tables.insert(
                "rack_temperatures", rack=rack, day=start.date(), window_start=start,
                window_end=start + timedelta(minutes=10), avg_temperature=warmth - back % 4, readings=30,
                last_updated=start,
            )  # fmt: skip
    changed = newest - timedelta(minutes=2)
    days_ago = changed - timedelta(days=2)
    for rack, at, status in (
        ("rack-02", changed - timedelta(minutes=9), "normal"),
        ("rack-02", changed, "warning"),
        ("rack-03", days_ago, "warning"),
    ):
        tables.insert(
            "rack_alerts", rack=rack, day=at.date(), changed_at=at, status=status, temperature=102.5, last_updated=at
        )
    browser.open("racks")
    shown = {
        row["rack"]: (row["status"], row["since (UTC)"], row["average"]) for row in browser.until_rows("rack-table", 4)
    }
    assert shown == {
        "all": ("-", "-", "88.00"),
        "rack-01": ("-", "-", "80.50"),
        "rack-02": ("warning", f"{changed:%Y-%m-%d %H:%M:%S}", "95.50"),
        "rack-03": ("warning", f"{days_ago:%Y-%m-%d %H:%M:%S}", "88.50"),
    }
    assert browser.until_rows("rack-alerts")[0] == {
        "at (UTC)": f"{changed:%Y-%m-%d %H:%M:%S}", "rack": "rack-02", "status": "warning", "temperature": "102.50",
    }  # fmt: skip
    picture(browser, request, "dashboard-racks", 1_170)


def test_the_ads_on_top_are_those_of_the_newest_window_in_the_table(
    browser: Browser, tables: Tables, job: Job, request: pytest.FixtureRequest
) -> None:
    browser.open("")

    def compared() -> tuple[dict[str, object], dict[str, object]]:
        """Read the tables first, then the page at one moment. If a window ends between them, the next call agrees."""
        stored = tables.query("SELECT * FROM ad_metrics_by_window")
        totals = {row["ad_id"]: row for row in tables.query("SELECT * FROM ad_metrics")}
        start = max(row["window_start"] for row in stored if row["window_end"] <= naive())
        rows = sorted(
            (row for row in stored if row["window_start"] == start), key=lambda row: (-row["total_cost"], row["ad_id"])
        )
        assert len(rows) > TOP, f"the window {start} has only {len(rows)} ads: the limit would not show"
        clicks, views, cost = (sum(row[f"total_{name}"] for row in rows) for name in ("clicks", "views", "cost"))
        expected: dict[str, object] = {
            "window": (f"{start:%Y-%m-%d %H:%M:%S}", f"{rows[0]['window_end']:%H:%M:%S}"),
            "ads": str(len(rows)),
            "Clicks": f"{clicks:,}",
            "Views": f"{views:,}",
            "Cost": f"{cost:,}",
            "Cost per view": f"{per_view(cost, views)}",
            "table": [
                {
                    "ad": row["ad_id"],
                    "clicks": f"{row['total_clicks']:,}",
                    "views": f"{row['total_views']:,}",
                    "cost": f"{row['total_cost']:,}",
                    "clicks in all": f"{totals[row['ad_id']]['total_clicks']:,}",
                    "views in all": f"{totals[row['ad_id']]['total_views']:,}",
                    "cost in all": f"{totals[row['ad_id']]['total_cost']:,}",
                }
                for row in rows[:TOP]
            ],
        }
        shown = browser.read("top-ads")
        window = re.search(r"The window ([-0-9]+ [:0-9]+) to ([:0-9]+) UTC", shown.text)
        ads = re.search(r"over the (\d+) ads", shown.text)
        return {
            **shown.figures,
            "window": window and window.groups(),
            "ads": ads and ads[1],
            "table": shown.tables["top-ads"],
        }, expected

    browser.until_equal(compared)
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
    browser.until_equal(lambda: (browser.figures(), expected))
    stored = tables.query("SELECT * FROM ad_metrics_by_window WHERE ad_id = 'ad-003' ALLOW FILTERING")
    browser.until_text(f"{len(stored)} windows, newest first")
    browser.unfold()
    newest = max(stored, key=lambda row: row["window_start"])
    assert browser.until_rows("windows")[0] == {
        "from (UTC)": f"{newest['window_start']:%Y-%m-%d %H:%M:%S}",
        "to": f"{newest['window_end']:%H:%M:%S}",
        "clicks": f"{newest['total_clicks']:,}",
        "views": f"{newest['total_views']:,}",
        "cost": f"{newest['total_cost']:,}",
        "cost per view": f"{newest['avg_cost_per_view']}",
    }


def test_a_hostile_name_is_shown_as_it_is_and_does_nothing(browser: Browser, job: Job) -> None:
    browser.open("")
    browser.until_rows("top-ads")
    browser.choose("Ad", HOSTILE)
    totals = {"Clicks in all": "3", "Cost in all": "99.000000", "Cost per view in all": "-"}
    browser.until_equal(lambda: (browser.figures(), totals))
    browser.choose("Ad", f"2 {HOSTILE}")
    browser.until_text(f"Nothing is stored for ad 2 {HOSTILE}")
    assert browser.driver.title == "adstream"
    assert not browser.driver.find_elements("css selector", "img[src='x'], img[src*='192.0.2.1']")


def test_the_pipelines_health_is_what_the_job_and_kafka_say(
    browser: Browser, system: Pipeline, job: Job, request: pytest.FixtureRequest
) -> None:
    found = running_jobs(Settings())
    assert [each.job for each in found] == ["ad-metrics"]

    ends = end_offsets(system.settings, system.settings.topic.ads)
    letters = len(system.dead_letters())

    def compared() -> tuple[dict[str, object], dict[str, object]]:
        """Ask the job anew each time: it may run another batch."""
        batches = httpx.get(f"{found[0].url}/progress", timeout=10, trust_env=False).json()["batches"]
        sums = {
            label: sum(batch[name] for batch in batches)
            for label, name in (("Late", "late"), ("Duplicates", "duplicates"), ("Dead letters", "dead"))
        }
        assert all(sums.values()), sums
        expected = {
            "Lag, events": "0",
            "State, MB": f"{batches[-1]['state_bytes'] / 1024**2:,.2f}",
            **{label: f"{count:,}" for label, count in sums.items()},
            "read to": ends,
            "by reason, of the job": letters,
            "by reason, of the topic": letters,
        }
        shown = browser.read("partitions", "dead-by-reason", "reasons")
        return {
            **shown.figures,
            "read to": {int(row["partition"]): number(row["read to"]) for row in shown.tables["partitions"]},
            "by reason, of the job": sum(number(row["letters"]) for row in shown.tables["dead-by-reason"]),
            "by reason, of the topic": sum(number(row["letters"]) for row in shown.tables["reasons"]),
        }, expected

    browser.open("pipeline")
    browser.until_text("ad-metrics over", "batches", "Freshness: the newest event in the tables is")
    browser.until_equal(compared)
    picture(browser, request, "dashboard-pipeline", 1_250)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


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
    advice = f"adstream dead-letters replay {letter.place} --set {field}="
    browser.until_text(*(line.split("|")[0].strip() for line in hexdump(value, 512)), f"{field} is -", advice)
    picture(browser, request, "dashboard-dead-letter", 1_050, end=True)


def test_nobody_else_was_asked_for_anything(browser: Browser, job: Job) -> None:
    assert browser.elsewhere() == []


def test_services_that_go_and_come_back_are_told_and_read_again(browser: Browser, system: Pipeline, job: Job) -> None:
    job.end()
    browser.open("pipeline")
    browser.until_text("No job runs on this machine: start", "adstream stream ad-metrics")
    browser.open("")
    browser.until_rows("top-ads")
    local.down(Settings(), only=[CASSANDRA])
    try:
        browser.until_text("No Cassandra node answers at 127.0.0.1", "start one with adstream up")
        assert "Traceback" not in browser.text
    finally:
        local.up(Settings())

    def reads_again() -> bool:
        shown = browser.read("top-ads")
        return bool(shown.tables["top-ads"]) and "No Cassandra node" not in shown.text

    browser.until(reads_again, "it reads again")


def test_it_is_a_service_that_outlives_its_starter_until_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    # The demo's test may take the usual port at the same time.
    monkeypatch.setattr(dashboard_port, "PORT", ports.choose("dashboard", 0, {}, ()))
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
