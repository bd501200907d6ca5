"""The README cannot drift: its commands exist, and every command is in it."""

import json
import re
from pathlib import Path
from statistics import median
from typing import Any

from adstream.cli import app
from benchmarks.freshness.contestants import REAL_TIME
from benchmarks.freshness.measured import at_share

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> set[str]:
    named = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    return named | {group.name for group in app.registered_groups if group.name}


def test_every_command_is_in_the_readme() -> None:
    missing = {name for name in commands() if not re.search(rf"`(adstream )?{name}\b", README)}
    assert missing == set()


def test_every_command_in_the_readme_exists() -> None:
    assert set(re.findall(r"adstream (?!ads_)([a-z]+)(?=[ `\"<])", README)) <= commands()


def test_every_make_target_in_the_readme_and_contributing_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    said = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", said, re.MULTILINE)) <= targets


def test_the_path_of_an_event_is_as_long_as_the_readme_says() -> None:
    path = README[README.index("Then follow an event") :].split("\n\n")[1]
    files = re.findall(r"\]\((streaming/[a-z_/]+\.py)\)", path)
    lines = sum(len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in files)
    assert (len(files), f"{round(lines, -2):,}") == (13, "1,900")
    assert README.count("1,900 lines") == 2


def results(name: str) -> Any:
    return json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))["runs"]


def test_the_figures_of_the_readme_are_the_measured_ones() -> None:
    drained = results("throughput")["drained"]
    ours, flinks = (
        [run["events"] / run["seconds"] for run in drained[name]]
        for name in ("ad-metrics, as it is", "Flink SQL, state in RocksDB")
    )
    [latencies] = [
        [latency for _, latency in run["probes"]]
        for run in results("latency")["measured"]
        if (run["name"], run["wanted"]) == (REAL_TIME, 1_000)
    ]
    times = median(our / flink for our, flink in zip(ours, flinks, strict=True))
    said = " ".join(README.split())
    assert f"[{round(median(ours), -4):,.0f} events a second](docs/performance.md" in said
    assert f"[after {at_share(latencies, 0.5)} ms](docs/performance.md" in said
    assert f"{times:.1f} times as fast as Flink SQL" in said
