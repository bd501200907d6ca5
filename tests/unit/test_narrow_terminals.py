"""A terminal of any width shows figures completely: the widest tables, at 80 and 60 columns."""

import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.table import Table

from adstream.ad_metrics_tables import Sums
from adstream.commands.show import _ads
from adstream.verify.ledger import Ledger, Line
from adstream.verify.report import _print_ledger
from common.cassandra.cql_files import committed
from common.text.terminal import Terminal, print_whole
from streaming.sinks.console import table, text

NOW = datetime(2026, 11, 21, 8, 54, 11, tzinfo=UTC)
MONEY = Decimal("1883826.344200")
VALUES: dict[str, Any] = {
    "bigint": 1_883_826_344, "int": 28_217_123, "decimal": MONEY, "double": 1883.26, "float": 1883.25,
    "timestamp": NOW, "date": date(2026, 11, 21), "text": "a name of thirty-one characters",
}  # fmt: skip
# A terminal without control sequences always reports 80 columns, and Rich believes it.
KINDS = ("xterm-256color", "dumb")


def tables() -> dict[str, Table]:
    """Return each table of the migrations with one row of large figures."""
    made = "".join(migration.text for migration in committed())
    found = {}
    for name, body in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\)", made, re.DOTALL):
        columns = dict(re.findall(rf"^ +(\w+) ({'|'.join(VALUES)})\b", body, re.MULTILINE))
        found[name] = table(name, list(columns), [{column: VALUES[kind] for column, kind in columns.items()}])
    return found


def printed(found: Table, monkeypatch: pytest.MonkeyPatch, width: int, kind: str) -> str:
    monkeypatch.setenv("TERM", kind)
    out = Terminal(file=io.StringIO(), width=width, soft_wrap=False)
    out._force_terminal = True
    print_whole(out, found)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [80, 60])
def test_no_figure_of_any_table_is_cut_or_wrapped(width: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tables()
    assert len(found) > 20
    for name, each in found.items():
        output = printed(each, monkeypatch, width, kind)
        assert "…" not in output, output
        assert max(map(len, output.splitlines())) <= (80 if kind == "dumb" else width), output
        for column in each.columns:
            for cell in column.cells:
                if column.no_wrap:
                    assert re.search(rf"(?<!\S){re.escape(str(cell))}(?!\S)", output), (name, output)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [80, 60])
def test_no_figure_of_an_ad_is_cut(width: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in (None, NOW):
        sums = Sums("ad-00001", start, start, 1_883_826, 28_217_123, MONEY, Decimal("0.029285"), NOW)
        output = printed(_ads("ads by cost", [sums]), monkeypatch, width, kind)
        assert "…" not in output
        for figure in ("1,883,826", "28,217,123", text(MONEY), "0.029285"):
            assert re.search(rf"(?<!\S){figure}(?!\S)", output), output


def test_a_narrow_terminal_gets_a_line_for_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sensor_id": f"sensor{number}", "average": MONEY, "since": NOW, "until": NOW} for number in (1, 2)]
    output = printed(table("sensors", list(rows[0]), rows), monkeypatch, 60, "xterm")
    assert output.splitlines() == [
        "sensors",
        "sensor_id  sensor1", "average    1,883,826.344200", "since      2026-11-21 08:54:11",
        "until      2026-11-21 08:54:11", "",
        "sensor_id  sensor2", "average    1,883,826.344200", "since      2026-11-21 08:54:11",
        "until      2026-11-21 08:54:11", "",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_of_verify_is_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", kind)
    out = Terminal(file=io.StringIO(), width=80)
    out._force_terminal = True
    million = 1_000_000
    fates = {"counted": 11 * million, "duplicate": 2 * million, "late": million, "dead": million}
    _print_ledger(Ledger([Line(0, 0, 15 * million, fates, unexplained=0)]), "ads_data", out)
    assert "11,000,000" in out.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in out.file.getvalue()  # type: ignore[attr-defined]
