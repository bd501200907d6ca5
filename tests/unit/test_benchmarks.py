"""The benchmarks compute their results from measurements."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from benchmarks import machine, page, plots, throughput
from benchmarks.__main__ import ORDER
from benchmarks.freshness.measured import at_share
from benchmarks.peers import flink_check, standings
from benchmarks.peers.contestants import FLINK_HEAP, FLINK_OFF, FLINK_ROCKSDB, FLINK_USUAL, OFF, QUIX, SHIPPED
from benchmarks.peers.drained import Drained
from benchmarks.peers.quix import together
from common.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results with a page that has one part."""
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    page.PAGE.write_text("before\n<!-- it: begin -->\nold\n<!-- it: end -->\nafter\n", encoding="utf-8")
    return tmp_path


def test_only_the_time_in_which_all_processes_worked_counts() -> None:
    one = [(10.0, 1_000), (11.0, 2_000), (12.0, 3_000), (20.0, 9_000)]
    other = [(11.0, 1_000), (12.0, 4_000)]
    drained = together([one, other], whole=30.0)
    assert (drained.events, drained.seconds) == (4_000, 1.0)


def test_of_processes_that_never_worked_together_all_counts() -> None:
    drained = together([[(10.0, 500)]], whole=5.0)
    assert (drained.events, drained.seconds) == (500, 5.0)


def test_the_share_of_probes_with_at_most_a_latency() -> None:
    assert [at_share(list(range(1, 101)), share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert at_share([7], 0.99) == 7


def test_a_spread_is_the_median_and_the_range() -> None:
    assert page.spread([3.0, 1.0, 10.0]) == "3.0 (1.0-10.0)"
    assert page.spread([1_000.0, 2_000.0], 0) == "1,500 (1,000-2,000)"


WORK = "import time\nwhile time.process_time() < {seconds}: pass"


def test_the_time_of_a_child_is_ours_also_after_its_end() -> None:
    before = machine.ours()
    subprocess.run([sys.executable, "-c", WORK.format(seconds=0.5)], check=True)
    assert machine.since(before) >= 0.4


def test_the_time_of_a_process_that_is_no_child_is_others() -> None:
    work = WORK.format(seconds=60)
    start = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {work!r}], stdout=-3, stderr=-3).pid)"
    )
    started = subprocess.run([sys.executable, "-c", start], check=True, capture_output=True, text=True)
    working = psutil.Process(int(started.stdout))
    try:
        assert working.is_running()
        assert working.pid not in machine.ours()
    finally:
        working.kill()


def test_the_conditions_say_how_much_of_the_time_others_had() -> None:
    assert re.search(
        r"; \d+% of its time went to other processes here and \d+% to others on the host;", machine.conditions()
    )


def runs(*rates: float) -> dict[int, Drained]:
    """Return a run of a thousand events for each round."""
    return {number: Drained(1_000, 1_000 / rate, 60.0) for number, rate in enumerate(rates, 1)}


def test_runs_are_compared_round_by_round_with_ours_on_the_same_work() -> None:
    results = {SHIPPED: runs(100, 200), FLINK_HEAP: runs(50, 50), OFF: runs(400, 400), QUIX: runs(20)}
    shown = {line[0]: line[8] for line in standings.lines(results, {FLINK_ROCKSDB: "it failed"})}
    assert shown == {
        SHIPPED: "1.00 (1.00-1.00)",
        FLINK_HEAP: "0.38 (0.25-0.50)",
        FLINK_ROCKSDB: "",
        OFF: "1.00 (1.00-1.00)",
        QUIX: "0.05 (0.05-0.05)",  # this peer ran in one round only
    }


def test_a_run_without_ours_has_nothing_to_compare() -> None:
    ((*_, compared, _),) = standings.lines({QUIX: runs(20)}, {})
    assert compared == "-"


def test_the_sentences_say_what_was_measured_and_no_more() -> None:
    results = {SHIPPED: runs(100, 300), FLINK_HEAP: runs(50, 100)}
    heap = "On the same exactly-once work, ad-metrics is 2.5 times as fast as Flink SQL on the heap"
    assert standings.sentences(results) == [f"{heap}."]
    more = results | {FLINK_ROCKSDB: runs(20, 60), FLINK_USUAL: runs(10), OFF: runs(90), FLINK_OFF: runs(100)}
    more[QUIX] = runs(20)
    assert standings.sentences(more) == [
        f"{heap} and 5.0 times as fast as Flink SQL in RocksDB.",
        "As shipped, ad-metrics is 10.0 times as fast as Flink SQL with RocksDB as it comes.",
        "Without dedupe, ad-metrics is 0.9 times as fast as Flink SQL and 4.5 times as fast as Quix Streams.",
    ]
    assert standings.sentences({QUIX: runs(20)}) == []


def test_of_flinks_changes_the_last_row_of_a_key_holds() -> None:
    changes = ["+I[ad-1, 1, 2, 0.5]", "-U[ad-1, 1, 2, 0.5]", "+U[ad-1, 3, 4, 1.0]", "+I[ad-2, 1, 1, 1.0]"]
    found = flink_check.settled([*changes, "-D[ad-2, 1, 1, 1.0]"])
    assert found == {("ad-1",): (3, 4, 1.0)}


def test_rows_that_miss_or_are_too_many_or_differ_are_found() -> None:
    expected = {("same",): (1, 2, 0.5), ("clicks",): (1, 2, 0.5), ("cost",): (1, 2, 0.5), ("gone",): (1, 2, 0.5)}
    found = {("same",): (1, 2, 0.501), ("clicks",): (2, 2, 0.5), ("cost",): (1, 2, 0.52), ("more",): (1, 2, 0.5)}
    assert flink_check.differences(found, expected) == [("clicks",), ("cost",), ("gone",), ("more",)]


def test_an_event_is_in_two_windows_whose_starts_are_as_flink_prints_them() -> None:
    assert flink_check.starts(datetime(2026, 1, 1, 0, 0, 59, 999_000, UTC)) == [
        "2026-01-01T00:00:30",
        "2026-01-01T00:00",
    ]
    assert flink_check.starts(datetime(2026, 1, 1, tzinfo=UTC)) == ["2026-01-01T00:00", "2025-12-31T23:59:30"]


def test_a_part_of_a_name_chooses_runs() -> None:
    names = [each.name for each in throughput.chosen(["HEAP", "quix"], peers=True)]
    assert names == [FLINK_HEAP, QUIX]
    assert not [each.name for each in throughput.chosen([], peers=False) if "Flink" in each.name or "Quix" in each.name]
    with pytest.raises(ConfigError, match="--only storm names no run"):
        throughput.chosen(["heap", "storm"], peers=True)


def test_the_bars_of_two_groups_are_drawn(docs: Path) -> None:
    results = {SHIPPED: runs(100, 200), FLINK_HEAP: runs(50, 50), OFF: runs(400, 400), QUIX: runs(20)}
    page.plot("it", "what it shows", lambda figure: standings.draw(figure, results))
    assert (docs / "images" / "it.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_is_a_png_that_the_page_shows(docs: Path) -> None:
    line = page.plot("it", "what it shows", lambda figure: plots.bars(figure.subplots(), {"a": [1, 3]}, "s", log=True))
    assert line == "![what it shows](images/it.png)"
    assert (docs / "images" / "it.png").read_bytes().startswith(b"\x89PNG")


def test_lines_are_drawn_on_either_scale(docs: Path) -> None:
    def draw(figure: object) -> None:
        for axes, log in zip(figure.subplots(1, 2), ("", "xy"), strict=True):  # type: ignore[attr-defined]
            plots.lines(axes, {"a": {1: [1.0], 1_000: [2.0, 4.0]}, "b": {1: [3.0]}}, "x", "y", log=log)
        plots.legend(figure)  # type: ignore[arg-type]

    page.plot("it", "what it shows", draw)
    assert (docs / "images" / "it.png").read_bytes().startswith(b"\x89PNG")


def test_results_replace_their_part_of_the_page_and_nothing_else(docs: Path) -> None:
    page.write("it", ["intro"], ("a", "b"), [("x", "1")], picture="![p](p.png)", runs={"x": [1.0]})
    part = "intro\n\n![p](p.png)\n\n| a | b |\n|---|---:|\n| x | 1 |"
    expected = f"before\n<!-- it: begin -->\n{part}\n<!-- it: end -->\nafter\n"
    assert page.PAGE.read_text(encoding="utf-8") == expected
    assert '"x": [1.0]' in (docs / "results" / "it.json").read_text(encoding="utf-8")


def test_every_benchmark_runs_in_turn_or_is_the_soak_and_has_its_part_of_the_page() -> None:
    shared = {"__init__", "__main__", "machine", "page", "pipeline", "plots", "row_by_row"}
    shared |= {"day", "soak", "state_growth"}
    modules = {each.stem for each in (ROOT / "benchmarks").glob("*.py")} - shared
    assert set(ORDER) == modules
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in (*ORDER, "soak", "state_growth", "state_hour"):
        part = name.replace("_", "-")
        assert f"<!-- {part}: begin -->\n" in text
        assert f"<!-- {part}: end -->\n" in text
    text = (ROOT / "docs" / "real-time.md").read_text(encoding="utf-8")
    for part in ("real-time-cost", "real-time-most", "real-time-pauses", "real-time-restarts", "soak-real-time"):
        assert f"<!-- {part}: begin -->\n" in text
        assert f"<!-- {part}: end -->\n" in text
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert "<!-- day: begin -->\n" in text
    assert "<!-- day: end -->\n" in text


def test_results_may_go_into_another_page(docs: Path) -> None:
    other = docs / "other.md"
    other.write_text("<!-- it: begin -->\nold\n<!-- it: end -->\n", encoding="utf-8")
    page.write("it", ["intro"], ("a",), [("x",)], in_page="other.md")
    assert "| x |" in other.read_text(encoding="utf-8")
    assert "old" in page.PAGE.read_text(encoding="utf-8")
