"""The dashboard without services: its statements, its ranking, its lines, and its address."""

import ast
import re
import socket
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adstream.dashboard import server
from adstream.dashboard.ads import TOP, ranking
from adstream.dashboard.elements import MOST_CHOSEN, ago, days, literal, per_view, today, with_commands
from adstream.dashboard.health import parsed
from adstream.dashboard.racks import last_changes, places, state
from adstream.dashboard.resources import Kept
from adstream.dashboard.sales import half_hours
from adstream.dashboard.statements import STATEMENTS, Statement
from adstream.dashboard.store import MOST_KEYS
from common.cassandra.primary_keys import primary_keys
from common.errors import ConfigError, ServiceUnavailable
from stack.dashboard_port import choose_port

FOLDER = Path(server.__file__).parent
SELECT = re.compile(r"SELECT \* FROM (\w+) WHERE (.+) LIMIT \?")
NOW = datetime(2026, 1, 1, 12, 0, 45, tzinfo=UTC)


def scans(statement: Statement) -> str:
    """Return why Cassandra would have to scan; empty if the statement finds its rows by key."""
    found = SELECT.fullmatch(statement.text)
    if found is None:
        return "it is not of the form that is checked here"
    key = primary_keys()[found[1]]
    conditions = [condition.split() for condition in found[2].split(" AND ")]
    equal = {name for name, operator, value in conditions if (operator, value) == ("=", "?")}
    others = [name for name, operator, _value in conditions if operator != "="]
    if not equal >= set(key.partition):
        return "not the whole partition key"
    return "" if others in ([], [*key.clustering[:1]]) else "not in the order of the key"


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_names_the_whole_partition_key_and_has_a_limit(name: str) -> None:
    assert scans(STATEMENTS[name]) == ""
    assert 0 < STATEMENTS[name].most <= 5_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM ad_metrics LIMIT ?", "form"),
        ("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? LIMIT ?", "partition key"),
        ("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day > ? LIMIT ?", "partition key"),
        ("SELECT * FROM ad_metrics WHERE ad_id = ? LIMIT ? ALLOW FILTERING", "form"),
        ("SELECT * FROM ad_metrics_by_window WHERE ad_id = ? AND day = ? AND total_cost > ? LIMIT ?", "order"),
    ],
)
def test_a_statement_that_scans_would_be_noticed(text: str, said: str) -> None:
    assert said in scans(Statement(text, 1))


def test_no_statement_is_anywhere_else_in_the_dashboard() -> None:
    for file in FOLDER.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        selects = [text for text in texts if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", text, re.IGNORECASE)]
        assert bool(selects) == (file.name == "statements.py"), file.name
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("execute")]
        assert not calls, file.name


def window(ad: str, seconds_ago: int, cost: str) -> dict[str, Any]:
    end = NOW.replace(tzinfo=None, second=30) - timedelta(seconds=seconds_ago)
    return {
        "ad_id": ad,
        "window_start": end - timedelta(minutes=1),
        "window_end": end,
        "total_clicks": 1,
        "total_views": 10,
        "total_cost": Decimal(cost),
    }


def test_the_ranking_is_of_the_newest_window_that_has_ended() -> None:
    running, ended, before = -30, 0, 30
    rows = [window("a", running, "9"), window("a", ended, "1"), window("b", ended, "2.5"), window("c", before, "8")]
    found = ranking(rows, NOW)
    assert found is not None
    assert [row["ad_id"] for row in found.rows] == ["b", "a"]
    assert (found.ads, found.clicks, found.views, found.cost) == (2, 2, 20, Decimal("3.5"))
    assert found.end == datetime(2026, 1, 1, 12, 0, 30)  # noqa: DTZ001 - as Cassandra's driver gives it


def test_the_ranking_has_a_bounded_length_and_its_sums_are_of_all() -> None:
    found = ranking([window(f"ad-{number:03}", 0, str(number)) for number in range(50)], NOW)
    assert found is not None
    assert len(found.rows) == TOP
    assert found.rows[0]["ad_id"] == "ad-049"
    assert (found.ads, found.cost) == (50, sum(range(50)))


def test_a_ranking_of_nothing_is_none_and_of_an_unfinished_window_alone_is_that() -> None:
    assert ranking([], NOW) is None
    found = ranking([window("a", -30, "9")], NOW)
    assert found is not None
    assert found.end > NOW.replace(tzinfo=None)


def test_cost_per_view_is_rounded_as_the_job_rounds_it() -> None:
    assert per_view(Decimal("0.000001"), 2) == Decimal("0.000001")
    assert per_view(Decimal(1), 3) == Decimal("0.333333")
    assert per_view(Decimal(1), 0) is None


def test_what_is_stored_is_never_markup() -> None:
    assert literal("![x](http://evil/) <img> **b** `c` $d$") == (
        r"\!\[x\]\(http\:\/\/evil\/\) \<img\> \*\*b\*\* \`c\` \$d\$"
    )
    assert with_commands("no *node*: `adstream up` now") == r"no \*node\*\: `adstream up` now"
    assert "`" not in literal("`").replace(r"\`", "")


def test_the_days_looked_at_are_bounded_and_begin_after_today() -> None:
    looked_at = days(None)
    assert looked_at[0] == today() + timedelta(days=1)
    assert looked_at[-1] == today() - timedelta(days=7)
    assert days(date(2025, 3, 29)) == [date(2025, 3, 29)]


def test_a_rack_has_the_status_of_its_own_last_change_on_whichever_day_that_was() -> None:
    def change(rack: str, days_ago: int, status: str) -> dict[str, Any]:
        return {"rack": rack, "changed_at": NOW.replace(tzinfo=None) - timedelta(days=days_ago), "status": status}

    cooled, hot = change("cooled", 0, "normal"), change("hot", 3, "warning")
    found = last_changes([[], [cooled], [], [hot], [change("cooled", 4, "warning")], [change("hot", 5, "normal")]])
    assert found == {"cooled": cooled, "hot": hot}
    shown = {rack: state(rack, {}, found) for rack in ("cooled", "hot", "silent")}
    assert {rack: line["status"] for rack, line in shown.items()} == {
        "cooled": "normal", "hot": "warning", "silent": None,
    }  # fmt: skip
    assert shown["hot"]["since (UTC)"] == hot["changed_at"]


def test_the_last_change_of_each_rack_is_looked_for_on_every_day_in_one_read() -> None:
    racks = [f"rack-{number}" for number in range(MOST_CHOSEN)]
    asked = places(racks, None)
    assert set(asked) == {(rack, day) for rack in racks for day in days(None)}
    assert len(asked) <= MOST_KEYS, "the store would leave the last ones out"
    assert places(["a"], date(2025, 3, 29)) == [("a", date(2025, 3, 29))]


def test_half_hours_are_those_of_the_jobs_windows() -> None:
    starts = half_hours(datetime(2025, 3, 29, 23, 59, 59, 999_999))  # noqa: DTZ001
    assert starts[0] == datetime(2025, 3, 29, 23, 30)  # noqa: DTZ001
    assert starts[-1] == datetime(2025, 3, 29)  # noqa: DTZ001
    assert len(starts) == 48


def test_how_long_ago_is_said_in_the_unit_that_fits() -> None:
    now = datetime.now(UTC)
    assert ago(now - timedelta(seconds=90)) == "90 s ago"
    assert ago(now - timedelta(minutes=5)) == "5 min ago"
    assert ago((now - timedelta(hours=3)).replace(tzinfo=None)) == "3 h ago"
    assert ago(now - timedelta(days=3)) == "3 d ago"


def test_a_failing_read_is_tried_again_only_after_a_while() -> None:
    asked: list[int] = []

    def fails() -> int:
        asked.append(1)
        raise ServiceUnavailable("it is down")

    kept = Kept(fails, seconds=60)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            kept()
    assert len(asked) == 1
    again = Kept(lambda: asked.append(1) or len(asked), seconds=0)
    assert (again(), again()) == (2, 3)


BATCH = {
    "batch_id": 3, "at": "2026-01-01T12:00:45.000Z", "events": 100, "seconds": 0.5, "rows": 9, "duplicates": 2,
    "late": 1, "dead": 3, "dead_by_reason": {"empty": 2, "clicks_negative": 1}, "lag": 7,
    "watermark": "2026-01-01T11:50:45.000Z", "phases_ms": {}, "sink_seconds": 0.1, "state_rows": 5,
    "state_bytes": 2 * 1024 * 1024, "input_rate": 200.0, "processed_rate": 201.5,
}  # fmt: skip
TOLD = {
    "job": "ad-metrics", "source": "ads_data", "started": "2026-01-01T12:00:00.000Z", "restarts": 0, "ready": True,
    "reason": "", "trigger_seconds": 1.0, "partitions": {"0": {"end": 5, "latest": 9, "lag": 4}},
    "batches": [BATCH, BATCH | {"batch_id": 4, "watermark": None, "dead_by_reason": {"empty": 1}}],
    "newest_event": "2026-01-01T12:00:44.000Z",
    "freshness": [{"at": "2026-01-01T12:00:45.500Z", "seconds": 1.5}],
}  # fmt: skip


def test_what_a_job_tells_becomes_sums_and_rows_for_charts() -> None:
    health = parsed(TOLD)
    assert health.lag == 4
    assert health.sums() == {"events": 200, "duplicates": 4, "late": 2, "dead": 6}
    assert health.dead_by_reason() == [("empty", 3), ("clicks_negative", 1)]
    first, second = health.over_time()
    assert (first["behind"], first["state_mb"]) == (600.0, 2.0)
    assert second["behind"] is None
    assert health.freshness == [{"at": datetime(2026, 1, 1, 12, 0, 45, 500_000, tzinfo=UTC), "seconds": 1.5}]


def test_it_listens_on_the_loopback_address_and_sends_nothing_home() -> None:
    assert server.OPTIONS["server.address"] == "127.0.0.1"
    assert server.OPTIONS["browser.gatherUsageStats"] is False
    assert set(server.OPTIONS["server.allowedHosts"]) == {"127.0.0.1", "localhost"}  # type: ignore[call-overload]


def test_every_option_is_one_that_streamlit_has() -> None:
    from streamlit import config

    assert set(server.OPTIONS) <= set(config._config_options_template)


def test_a_taken_port_is_refused_by_name_and_otherwise_another_one_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^port {port} is taken.*; leave --port out"):
            choose_port(port)
        assert choose_port(0) not in (port, 0)
        assert choose_port(None, port) != port
    assert choose_port(None, port) == port
