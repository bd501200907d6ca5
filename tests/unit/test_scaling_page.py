"""docs/scaling.md: each number of its plan follows from the constants that the page states."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from streaming.jobs import find

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
UNITS = {"": 1.0, "million": 1e6, "billion": 1e9, "MB/s": 1e6, "GB": 1e9, "TB": 1e12}
HEADINGS = re.findall(r"lateness (\d+) min, trigger (\d+) s", PAGE)


def number(said: str) -> tuple[float, float]:
    """Return a value of the page, and half a unit of its last digit."""
    digits, unit = re.fullmatch(r"([\d,.]+) ?(.*)", said).groups()  # type: ignore[union-attr]
    plain = digits.replace(",", "")
    decimals = len(plain.partition(".")[2])
    zeros = 0 if "." in plain else len(plain) - len(plain.rstrip("0"))
    return float(plain) * UNITS[unit], 0.5 * 10.0 ** (zeros - decimals) * UNITS[unit]


def rows(first: str) -> list[list[str]]:
    """Return the cells of the table whose first heading is `first`, without the headings."""
    _, _, table = PAGE.partition(f"| {first} |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


CONSTANTS = {name: number(value)[0] for name, value, _ in rows("constant")}
PLAN = {name: values for name, _, *values in rows("what")}


def plan(lateness_minutes: int, trigger: int) -> Mapping[str, float]:
    """Compute the page's plan. All times are in seconds."""
    c = CONSTANTS
    job = find("ad-metrics")
    assert job.watermark is not None
    assert job.lateness is not None
    ads, events = c["ads"], c["events per second"]
    watermark = lateness_minutes * 60 + (job.watermark - job.lateness).total_seconds()
    windows = (60 + watermark) / 30
    state_rows, ids = ads * (windows + 1), events * watermark
    changed = ads * (1 - math.exp(-events / ads * trigger))
    each = 3 if trigger < 30 else 1 + trigger / 30 + 2
    written = changed * each / trigger
    replicas = written * c["replicas, in Kafka and in Cassandra"]
    cassandra = replicas / c["rows per second and core of Cassandra"]
    cassandra *= c["work of Cassandra for compaction and repair, as a factor"]
    looked = (state_rows + ids) * c["microseconds to check whether a row of state has expired"] / 1e6
    looked_per_second = looked / c["seconds for one scan of all state"]
    counting = events / c["events per second and core of Spark"]
    to_kafka = events * c["bytes of a message in Kafka"] * c["replicas, in Kafka and in Cassandra"]
    kept = (
        ads * 2 * c["days that windows are kept"] * 24 * 60
        * c["bytes of a window's row in Cassandra, on disk"] * c["replicas, in Kafka and in Cassandra"]
    )  # fmt: skip
    return {
        "open windows per ad": windows,
        "state rows": state_rows,
        "their state": state_rows * c["bytes of a window or a total in RocksDB"],
        "event ids remembered": ids,
        "the ids' state": ids * c["bytes of an id in RocksDB"],
        "ads with an event in a batch": changed,
        "rows per such ad": each,
        "rows written per second": written,
        "replica writes per second": replicas,
        "Spark cores that count": counting,
        "Spark cores for expiry checks": looked_per_second,
        "the same if each batch scanned all state, as Spark does by itself": looked / trigger,
        "Spark cores": counting + looked_per_second,
        "Cassandra cores": cassandra,
        "Cassandra nodes": cassandra / c["cores of a Cassandra node"],
        "windows kept, on disk": kept,
        "Kafka, in and out of the brokers' disks": to_kafka,
        "Kafka kept": to_kafka * c["days that Kafka keeps messages"] * 86_400,
    }


@pytest.mark.parametrize("column", range(len(HEADINGS)))
def test_each_number_of_the_plan_follows_from_the_constants(column: int) -> None:
    lateness, trigger = map(int, HEADINGS[column])
    computed = plan(lateness, trigger)
    assert list(computed) == list(PLAN)
    for name, value in computed.items():
        shown, within = number(PLAN[name][column])
        assert value == pytest.approx(shown, abs=within * 1.001), f"{name}: computed {value:,.4g}, shown {shown:,.4g}"


def test_the_page_states_two_plans_of_which_the_first_is_as_shipped() -> None:
    job = find("ad-metrics")
    assert job.lateness is not None
    assert len(HEADINGS) == 2
    assert int(HEADINGS[0][0]) * 60 == job.lateness.total_seconds()
