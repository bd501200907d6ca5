"""`--json` prints one document and nothing else on standard output. The tests supply the services' answers."""

import json
import time
from contextlib import nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import Row, functions
from pyspark.sql.types import DoubleType, StructType, TimestampType
from typer.testing import CliRunner, Result

from adstream import ad_metrics_tables, result_tables
from adstream.ad_metrics_tables import Sums
from adstream.cli import app
from adstream.dead_letters import letters as dead_letters
from adstream.dead_letters.letters import Letter, Marks, Place
from adstream.result_tables import Rows
from adstream.verify import ad_metrics as verify
from adstream.verify.acknowledged import Acknowledged
from adstream.verify.ad_metrics import Verified
from adstream.verify.baseline import Baseline
from adstream.verify.ledger import Ledger, Line
from adstream.verify.oracle import FATES
from adstream.verify.tables import Comparison
from common.errors import ConfigError, Mismatch
from common.lateness import late_events
from common.lateness.late_events import LateEvents
from stack import local
from stack.checks import doctor
from stack.checks.doctor import Finding
from stack.local import Status
from streaming import launch
from streaming.iceberg import catalog, validation
from streaming.iceberg.checks import Check
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.jobs import JOBS
from streaming.spark import session

TEN = datetime(2026, 3, 1, 10, 0)  # noqa: DTZ001 - as Cassandra's driver gives times: UTC, without saying so


def run(*arguments: str, code: int = 0) -> Any:
    """Return the one document on standard output."""
    return json.loads(ended(*arguments, code=code).stdout)


def ended(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, done.output
    return done


def test_jobs() -> None:
    found = run("jobs")
    assert [each["job"] for each in found] == [*JOBS, *BATCH_JOBS]
    by_name = {each["job"]: each for each in found}
    clicks = by_name["user-clicks"]
    assert clicks["kind"] == "stream"
    assert clicks["contract"] == "clickstream"
    assert clicks["modes"] == ["update", "complete"]
    assert clicks["parameters"] == {"window_seconds": 60.0, "watermark_seconds": 600.0}
    assert clicks["tables"] == ["user_clicks"]
    assert by_name["daily-sales"]["kind"] == "batch"


def test_doctor_prints_every_finding_and_fails_as_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    well, bad = Finding("OK", "Python", "3.11"), Finding("FAIL", "memory", "1 GB [free]", "close something")
    monkeypatch.setattr(doctor, "CHECKS", [lambda _settings: [well]])
    assert run("doctor") == [{"verdict": "OK", "subject": "Python", "detail": "3.11", "remedy": ""}]
    monkeypatch.setattr(doctor, "CHECKS", [lambda _settings: [well, bad]])
    found = run("doctor", code=1)
    assert [each["verdict"] for each in found] == ["OK", "FAIL"]
    assert found[1]["remedy"] == "close something"


def test_status(monkeypatch: pytest.MonkeyPatch) -> None:
    down = Status("kafka", "", None, "does not run", None, Path("/log"))
    monkeypatch.setattr(local, "status", lambda _settings: [down])
    [found] = run("status", code=1)
    assert found["service"] == "kafka"
    assert found["healthy"] is False


def test_show_gives_rows_by_column_with_exact_values_and_times_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"day": date(2026, 3, 1), "window_start": TEN, "average": Decimal("1.100000"), "orders": 3, "more": None}
    rows = Rows(["window_start", "average", "orders", "more"], [row], complete=False)
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(result_tables, "read", lambda _settings, *what: asked.append(what) or rows)
    found = run("show", "order-values", "--limit", "5")
    shown = {"window_start": "2026-03-01T10:00:00.000Z", "average": "1.100000", "orders": 3, "more": None}
    assert found == {"tables": {"order_values": [shown]}, "complete": False}
    assert asked == [("order_values", None, 5)]


def test_show_of_an_empty_table_is_a_document_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_tables, "read", lambda *_what: Rows(["logins"], [], complete=True))
    assert run("show", "logins") == {"tables": {"logins": []}, "complete": True}


def test_show_of_ads_has_the_columns_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    total = Sums("ad-1", None, None, 1, 2, Decimal("0.500000"), None, TEN)
    window = Sums("ad-1", TEN, TEN.replace(minute=1), 1, 2, Decimal("0.500000"), Decimal("0.250000"), TEN)
    monkeypatch.setattr(ad_metrics_tables, "top_ads", lambda _settings, _limit: ([total], True))
    monkeypatch.setattr(ad_metrics_tables, "one_ad", lambda _settings, ad, _limit: (total, [window]) if ad else None)
    sums = {"total_clicks": 1, "total_views": 2, "total_cost": "0.500000"}
    updated = {"last_updated": "2026-03-01T10:00:00.000Z"}
    in_all = {"ad_id": "ad-1", **sums, "avg_cost_per_view": None, **updated}
    assert run("show", "ads") == {"tables": {"ad_metrics": [in_all]}, "complete": True}
    both = run("show", "ad-metrics", "--ad", "ad-1")["tables"]
    assert both["ad_metrics"] == [in_all]
    [shown] = both["ad_metrics_by_window"]
    assert shown["window_end"] == "2026-03-01T10:01:00.000Z"
    assert shown["avg_cost_per_view"] == "0.250000"


class SparkTable:
    """A table of one row, as Spark gives it to Python."""

    columns = ("window_start", "average")
    schema = StructType().add("window_start", TimestampType()).add("average", DoubleType())

    def orderBy(self, *_by: object) -> "SparkTable":  # noqa: N802
        return self

    def limit(self, _limit: int) -> "SparkTable":
        return self

    def collect(self) -> list[Row]:
        micros = int(TEN.replace(tzinfo=UTC).timestamp()) * 1_000_000
        return [Row(window_start=TimestampType().fromInternal(micros), average=float("nan"))]


def test_show_of_the_lakehouse_is_in_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "spark_session", lambda *_what, **_how: nullcontext())
    monkeypatch.setattr(catalog, "existing_table", lambda *_what: SparkTable())
    monkeypatch.setattr(functions, "desc", lambda name: name)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = run("show", "sensor-moving-averages")
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    shown = {"window_start": "2026-03-01T10:00:00.000Z", "average": "NaN"}
    assert found == {"tables": {"sensor_5min_slide1min": [shown]}, "complete": True}


def test_rows_of_sql_are_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(user_id="u1", at=None, total=Decimal("1.10")), Row(user_id="u2", at=date(2026, 3, 1), total=None)]
    found = SimpleNamespace(
        columns=["user_id", "at", "total"], limit=lambda _most: SimpleNamespace(collect=lambda: rows)
    )
    spark = SimpleNamespace(sql=lambda _query: found)
    monkeypatch.setattr(launch, "computed", lambda *_what: nullcontext(spark))
    done = ended("sql", "user-clicks", "select 1", "--topic", "t")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"user_id": "u1", "at": None, "total": "1.10"},
        {"user_id": "u2", "at": "2026-03-01", "total": None},
    ]


def test_validate_prints_its_checks_and_fails_where_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("it is not empty", True, "3 rows"), Check("within bounds", False, "99.5")]
    chosen = SimpleNamespace(run=lambda *_what: checks, clean_up=lambda *_what: ["lakehouse.demo.t"])
    monkeypatch.setattr(validation, "find", lambda _job: chosen)
    monkeypatch.setattr(session, "spark_session", lambda *_what, **_how: nullcontext())
    done = ended("validate", "sensor-averages", "--clean-up", code=1)
    assert isinstance(done.exception, Mismatch)
    assert [each["holds"] for each in json.loads(done.stdout)] == [True, False]
    assert "removed lakehouse.demo.t" in done.stderr


def test_show_of_late_events(monkeypatch: pytest.MonkeyPatch) -> None:
    ten = TEN.replace(tzinfo=UTC)
    late = LateEvents(3, {ten: {601: 2, 700: 1}, ten.replace(hour=9): {60: 1}}, others=4)
    monkeypatch.setattr(late_events, "read", lambda _settings, _job: late)
    found = run("show", "ad-metrics", "--late", "--limit", "1")
    assert found["option"] == "lateness"
    assert found["events"] == 3
    window = {
        "window_start": "2026-03-01T10:00:00.000Z",
        "events": 3,
        "kept_within_seconds": {"p90": 700, "p99": 700, "p999": 700},
    }
    assert found["windows"] == [window]
    assert found["windows_in_all"] == 2
    assert found["events_of_other_checkpoints"] == 4
    monkeypatch.setattr(late_events, "read", lambda _settings, _job: LateEvents())
    assert run("show", "user-clicks", "--late")["kept_within_seconds"] == {}


def test_an_error_leaves_standard_output_empty() -> None:
    done = CliRunner().invoke(app, ["show", "ad-tail", "--json"])
    assert isinstance(done.exception, ConfigError)
    assert done.stdout == ""


def verified(**changes: Any) -> Verified:
    fates = dict.fromkeys(FATES, 0) | {"counted": 7, "late": 1}
    ledger = Ledger([Line(0, 2, 10, fates, changes.pop("unexplained", 0))], changes.pop("puzzles", []))
    return Verified(changes.pop("comparison", Comparison(rows=4, cells=16)), ledger, **changes)


def test_verify_when_all_is_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Baseline(Path("/kept.duckdb"), datetime(2026, 3, 1, tzinfo=UTC), {0: 10})
    monkeypatch.setattr(verify, "verify", lambda *_what, **_how: verified(kept=kept, acknowledged=Acknowledged(5, 1)))
    found = run("verify", "ad-metrics")
    assert found["equal"] is True
    assert found["problems"] == found["lines"] == []
    assert (found["rows"], found["cells"]) == (4, 16)
    ledger = found["ledger"]
    assert ledger["topic"] == "ads_data"
    assert (ledger["offsets"], ledger["fates"]["counted"], ledger["unexplained"]) == (8, 7, 0)
    [partition] = ledger["partitions"]
    assert (partition["from"], partition["to"], partition["fates"]["late"]) == (2, 10, 1)
    assert found["acknowledged"] == {"places": 5, "aged_out": 1, "missing": 0}
    assert found["baseline_kept"] == "/kept.duckdb"
    assert found["since_baseline_of"] is None
    assert found["not_proved"] is None
    assert found["clock"] is None


def test_verify_prints_its_document_before_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = Comparison(rows=4, cells=16, different=1, differences=["ad-1: 2, not 3"])
    differs = verified(comparison=comparison, unexplained=1, puzzles=["ads_data/0/3 is gone"])
    monkeypatch.setattr(verify, "verify", lambda *_what, **_how: differs)
    done = ended("verify", "ad-metrics", code=1)
    assert isinstance(done.exception, Mismatch)
    found = json.loads(done.stdout)
    assert found["equal"] is False
    assert found["lines"] == ["ad-1: 2, not 3", "ads_data/0/3 is gone"]
    assert found["problems"] == [
        "1 of 4 rows differ from the independent computation",
        "1 offsets are unexplained",
    ]
    assert str(done.exception).startswith("; ".join(found["problems"]))


def test_verify_for_people_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "verify", lambda *_what, **_how: verified())
    done = CliRunner().invoke(app, ["verify", "ad-metrics"])
    assert done.exit_code == 0
    assert "ads_data/0" in done.stdout
    assert "equal: 4 rows, 16 cells agree with the independent computation" in done.stdout


def test_dead_letters_are_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    letters = {
        place: Letter(place, "empty", at, None, "ad-metrics", 0, None, None, (), at)
        for place in (Place("ads_data", 0, 1), Place("ads_data", 0, 2))
    }
    monkeypatch.setattr(dead_letters, "read", lambda *_what, **_how: letters)
    monkeypatch.setattr(Marks, "read", lambda _settings: Marks({}))
    lines = [json.loads(line) for line in ended("dead-letters", "list").stdout.splitlines()]
    assert [each["place"] for each in lines] == ["ads_data/0/1", "ads_data/0/2"]
    assert all(each["reason"] == "empty" and each["replayed"] is None for each in lines)
