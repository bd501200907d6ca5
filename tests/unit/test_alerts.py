"""docs/alerts.yml and docs/metrics.md name exactly the metrics that the program exposes."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from streaming.apply.freshness import Freshness
from streaming.monitoring.apply_metrics import Metrics
from streaming.monitoring.monitor import Monitor
from tests.unit.test_endpoint import BATCH

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
[GROUP] = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
ALERTS: list[dict[str, Any]] = GROUP["rules"]
KINDS = ("counter", "gauge", "histogram")

APPLIED = {
    "rows_read": 5, "rows_written": 3, "rows_coalesced": 1, "rows_outdated": 1, "lag": {"0": 2}, "waiting_for": "",
    "newest_event": "2026-01-01T00:00:10.000Z", "event_to_row_seconds": Freshness().told(),
}  # fmt: skip


def exposed() -> dict[str, tuple[str, set[str], set[str]]]:
    """Return for each metric, by its name on the page, its kind, the names of its series, and its labels."""
    monitor = Monitor("ad-metrics", "ads", timedelta(seconds=3))
    monitor.batch(BATCH)
    applying = Metrics("ad-metrics", lambda: APPLIED)
    found = {}
    bodies = (each.exposed()[0].decode() for each in (monitor.metrics, applying))
    for family in (family for body in bodies for family in text_string_to_metric_families(body)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"job", "le"}
        found[name] = family.type, {sample.name for sample in family.samples}, labels
    return found


def slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_metric_has_series_as_soon_as_there_is_a_batch() -> None:
    assert [name for name, (_, series, _) in exposed().items() if not series] == []


def test_the_page_lists_each_metric_with_its_kind_labels_and_meaning_and_no_other() -> None:
    rows = re.findall(r"^\| `(adstream_\w+)` \| (\w+)((?:, `\w+`)*) \| (.{10,}) \|$", PAGE, re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}
    assert listed == {name: (kind, labels) for name, (kind, _, labels) in exposed().items()}
    assert {kind for kind, _ in listed.values()} == set(KINDS)
    assert len(rows) == len(listed)
    series = {name for _, names, _ in exposed().values() for name in names}
    assert set(re.findall(r"\badstream_\w+", PAGE)) <= series | listed.keys()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_asks_for_series_that_are_exposed(alert: dict[str, Any]) -> None:
    series = {name for _, names, _ in exposed().values() for name in names}
    named = set(re.findall(r"\badstream_\w+", alert["expr"]))
    assert named
    assert named <= series
    assert set(re.findall(r"\badstream_\w+", alert["annotations"]["description"])) <= series


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_is_wrong_what_to_do_and_where_it_is_described(alert: dict[str, Any]) -> None:
    annotations = alert["annotations"]
    assert "{{ $labels.job }}" in annotations["summary"]
    assert len(annotations["description"]) > 50
    assert alert["labels"]["severity"] in ("page", "ticket")
    page, _, anchor = annotations["runbook"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not anchor or anchor in {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_the_page_lists_every_alert() -> None:
    assert re.findall(r"^\| `(Adstream\w+)` \|", PAGE, re.MULTILINE) == [alert["alert"] for alert in ALERTS]
