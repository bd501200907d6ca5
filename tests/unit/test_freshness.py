"""The figures of benchmarks.latency, computed from probes, processes and logs."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.freshness import compared, contestants, pauses, restarts
from benchmarks.freshness.measured import Measured
from benchmarks.freshness.most import Step
from benchmarks.freshness.probes import Seen
from benchmarks.freshness.usage import APPLYING, JOB, Usage, family, split
from benchmarks.peers import flink_updates
from common.errors import ConfigError


def measured(name: str, *latencies: int, rate: int = 1_000, **more: object) -> Measured:
    """Return figures with a probe every tenth of a second."""
    probes = [(number * 100, latency) for number, latency in enumerate(latencies)]
    given = {"seconds": 10.0, "unseen": 0, "rate": float(rate), "own_ms": 6.0} | more
    return Measured(name, rate, 0, probes=probes, **given)  # type: ignore[arg-type]


def test_the_series_has_each_second_with_its_median_and_longest_latency() -> None:
    assert measured("a", *range(1, 16)).by_second() == [(0, 5.5, 10), (1, 13.0, 15)]


def test_a_pause_is_the_longest_time_without_a_new_row_in_each_minute() -> None:
    latencies = [50] * 1_200
    latencies[100:110] = [1_050 - 100 * number for number in range(10)]  # ten rows become visible at the same moment
    assert measured("a", *latencies).pauses() == [1_100, 100]


def test_the_cost_of_an_event_is_the_processors_time_over_the_events_sent() -> None:
    one = measured("a", 1, seconds_of={JOB: 2.0})
    assert one.micros(JOB) == pytest.approx(200.0)
    assert one.micros(APPLYING) is None


def test_the_rate_is_of_events_acknowledged_meanwhile() -> None:
    seen = Seen(acknowledged=[(0, 100), (1_000, 1_100), (3_000, 3_100), (9_000, 3_100)])
    assert seen.rate(500, 4_000) == 1_000
    assert seen.rate(4_000, 5_000) == 0


def test_the_readers_part_is_half_the_time_between_two_queries_and_the_query() -> None:
    assert Seen(asked=[(0.010, 0.002), (0.020, 0.004)]).own_ms == pytest.approx(10.5)


def test_the_sentences_compare_medians_of_the_same_load() -> None:
    found = [
        measured(contestants.BEFORE, 2_000),
        measured(contestants.REAL_TIME, 100),
        measured("Flink SQL, checkpoints every 3 s", 50),
        measured(contestants.NOW, 500, rate=5_000),
    ]
    [said] = compared.sentences(found)
    assert said.startswith(
        "At 1,000 events/s the median of real time, 100 ms, is 20.0 times below micro-batches, before"
    )
    assert said.endswith(", 2.0 times above Flink SQL, checkpoints every 3 s.")


def test_lines_are_by_load_and_several_rounds_are_one_line() -> None:
    found = [measured("a", 1), measured("b", 2), measured("a", 3, rate=5_000), measured("a", 5)]
    assert [(line[0], line[1], line[2]) for line in compared.lines(found)] == [
        ("a", "1,000", "3 (1-5)"),
        ("b", "1,000", "2"),
        ("a", "5,000", "3"),
    ]
    assert [line[:2] for line in compared.costs(found)] == [("a", "1,000"), ("b", "1,000"), ("a", "5,000")]


def test_the_build_before_takes_part_where_there_is_one(tmp_path: Path) -> None:
    assert contestants.BEFORE not in [each.name for each in compared.chosen([], None)]
    assert [each.name for each in compared.chosen(["before"], tmp_path)] == [contestants.BEFORE]
    with pytest.raises(ConfigError, match="--only storm names no contestant"):
        compared.chosen(["flink", "storm"], None)
    with pytest.raises(ConfigError, match=r"has no \.venv"):
        contestants.described(tmp_path)


def step(*latencies: int, waiting: tuple[int, ...] = (), rate: float = 1_000.0) -> Step:
    """Return a step of forty seconds, with a probe in each, and eleven more seconds to wait for rows."""
    probes = [(number * 1_000, latency) for number, latency in enumerate(latencies)]
    return Step(1_000, rate, 0, 40_000, 51_000, probes, list(waiting))


def test_a_rate_holds_through_a_pause_and_not_when_rows_grow_older_and_older() -> None:
    assert step(*[100] * 25, 2_500, 1_500, *[100] * 13).holds
    assert not step(*[100 + 100 * number for number in range(40)]).holds
    assert not step(*[11_000] * 40).holds
    assert not step(*[100] * 20, waiting=tuple(range(20_000, 40_000, 1_000))).holds
    assert not step(*[100] * 40, rate=900.0).sent


def test_rows_are_fresh_again_when_ten_probes_in_a_row_are() -> None:
    slow = [(number * 100, 5_000) for number in range(10)]
    assert restarts.fresh([*slow, *((1_000 + number * 100, 80) for number in range(9))]) == 0
    assert restarts.fresh([*slow, *((1_000 + number * 100, 80) for number in range(10))]) == 1_080


def test_the_longest_gap_is_looked_for_around_the_commit() -> None:
    far_off = [(0, 10), (20_000, 10)]
    near = [(at, 10) for at in (56_000, 57_000, 59_500, 60_000, 66_000)]
    assert pauses.longest_gap([*far_off, *near], 60_000, 60) == 36.0  # from 20 s on, into the commit's neighbourhood
    assert pauses.longest_gap(near, 58_000, 2) == 2.5


def test_commits_are_read_from_the_log_among_other_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [
        "a warning",
        json.dumps({"at": "1970-01-01T00:00:01.000Z", "phases_ms": {"addBatch": 1}}),
        json.dumps({"at": "1970-01-01T00:00:03.000Z", "message": "a notice"}),
        json.dumps({"at": "1970-01-01T00:00:04.000Z", "phases_ms": {"addBatch": 3, "commitOffsets": 9}}),
    ]
    log.write_text("\n".join(lines), encoding="utf-8")
    assert pauses.commits(log, 2_000) == [(4_000, {"addBatch": 3, "commitOffsets": 9})]
    assert pauses.shown([{"a": 1, "b": 2}, {"a": 3, "b": 8}]) == "b 5, a 2"


def test_a_setting_reaches_the_job_by_its_environment(tmp_path: Path) -> None:
    place = contestants.Place(settings=None, folder=tmp_path)  # type: ignore[arg-type]
    setting = pauses.Setting("x", {"spark.a": "1", "spark.b": "2"}, ("--no-dedupe",), {"C": "3"})
    changed = setting.on(place, 30)
    assert (changed.length, changed.options) == ("30s", ("--no-dedupe",))
    assert changed.environment == {"C": "3", "ADSTREAM_SPARK_PROPERTIES": "spark.a=1,spark.b=2"}


CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}, 'apply'])"
WORK = "import time\nend = time.process_time() + 30\nwhile time.process_time() < end: pass"


def test_the_applying_process_is_a_group_of_its_own_and_ends_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", CHILD.format(work=WORK)])
    try:
        until = time.monotonic() + 30
        while not (groups := split(family(parent.pid)))[APPLYING] and time.monotonic() < until:
            time.sleep(0.01)
        assert [each.pid for each in groups[JOB]] == [parent.pid]
        usage = Usage(lambda: groups)
        [applying] = groups[APPLYING]
        spent = sum(applying.cpu_times()[:2])
        while sum(applying.cpu_times()[:2]) < spent + 0.3 and time.monotonic() < until:
            time.sleep(0.01)
        usage.stop()
        assert usage.seconds[APPLYING] >= 0.2
        assert usage.seconds[JOB] < 0.1
        assert usage.peaks[APPLYING] > 1
    finally:
        contestants.kill(parent.pid)
        parent.wait()
    assert not psutil.pid_exists(applying.pid)


def test_flinks_statements_have_no_place_left_to_fill() -> None:
    for statement in (*flink_updates.made("u", "b", "r"), *flink_updates.statements(1_000)):
        assert "{lease}" not in statement
        assert "{{" not in statement
    windows, totals = flink_updates.statements(1_000)
    assert "1000 + 16 * COUNT(*) AS version" in windows
    assert "GROUP BY window_start, ad_id" in windows
    assert "INSERT INTO total_updates" in totals
