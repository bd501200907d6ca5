"""What the benchmarks make of what they measured."""

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import machine, page, plots, soak
from benchmarks.__main__ import ORDER
from benchmarks.latency import at_share
from benchmarks.peers.quix import together

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


def test_a_series_grows_by_the_line_through_its_second_half() -> None:
    times = [float(minute) for minute in range(21)]
    falls_then_grows = [100.0 - minute for minute in range(10)] + [100.0 + 2 * minute for minute in range(11)]
    mean, grown = soak.growth(times, falls_then_grows)
    assert mean == pytest.approx(110.0)
    assert grown == pytest.approx(20.0 / 110.0)


def test_what_swings_and_does_not_grow_is_flat() -> None:
    times = [float(minute) for minute in range(400)]
    assert abs(soak.growth(times, [50.0 + 40.0 * (minute % 2) for minute in range(400)])[1]) < 0.01


def test_one_look_does_not_grow() -> None:
    assert soak.growth([0.0], [5.0]) == (5.0, 0.0)


def test_a_leak_is_not_flat_and_what_falls_is() -> None:
    minutes = [float(minute) for minute in range(21)]

    def look(minute: float) -> soak.Sample:
        empty: soak.Sample = {panel: {} for panel in (*soak.PANELS, soak.PER_MESSAGE)}
        grows, falls = {"leak": 100.0 + 10 * minute}, {soak.BATCH_TIME: 100.0 - minute}
        return empty | {soak.MEMORY: grows, soak.BATCH_TIME: falls, soak.DISK: grows}

    judged = {each.name: each.flat for each in soak.judge(minutes, [look(minute) for minute in minutes])}
    # Disk is only shown: it has no bound.
    assert judged == {"memory, MiB: leak": False, soak.BATCH_TIME: True, "disk, MiB: leak": True}


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
    shared = {"__init__", "__main__", "machine", "page", "pipeline", "plots", "soak"}
    modules = {each.stem for each in (ROOT / "benchmarks").glob("*.py")} - shared
    assert set(ORDER) == modules
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in (*ORDER, "soak"):
        part = name.replace("_", "-")
        assert f"<!-- {part}: begin -->\n" in text
        assert f"<!-- {part}: end -->\n" in text
