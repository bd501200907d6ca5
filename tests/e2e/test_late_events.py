"""Late events in their table and on their page, against plain Python over the raw messages."""

import io
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from math import ceil

import fastavro
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from common.cassandra.session import connect
from common.lateness.delays import rounded_up, text
from tests.e2e.commands import adstream
from tests.e2e.pipeline import Pipeline

LATENESS = timedelta(minutes=10)
SLIDE = timedelta(seconds=30)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Windows = dict[datetime, Counter[int]]


def oracle(pipeline: Pipeline) -> tuple[Windows, list[int]]:
    """Return window -> rounded delay -> events, and the sorted delays of the late events."""
    schema = fastavro.parse_schema(contracts.latest("ads_data").schema)
    windows: Windows = defaultdict(Counter)
    delays = []
    for message in pipeline.messages():
        event = fastavro.schemaless_reader(io.BytesIO((message.value() or b"")[wire.HEADER_BYTES :]), schema, None)
        assert isinstance(event, dict)
        waited = EPOCH + timedelta(milliseconds=message.timestamp()[1]) - event["timestamp"]
        if waited > LATENESS:
            delays.append(rounded_up(ceil(waited.total_seconds())))
            newest = EPOCH + (event["timestamp"] - EPOCH) // SLIDE * SLIDE
            for start in (newest, newest - SLIDE):
                windows[start][delays[-1]] += 1
    return windows, sorted(delays)


def stored(pipeline: Pipeline) -> dict[tuple[datetime, int], tuple[int, int, dict[int, int]]]:
    """Return (window, batch) -> events, events counted once, and delays. There must be one checkpoint."""
    settings = pipeline.settings.cassandra
    with connect(settings, keyspace=settings.keyspace) as session:
        rows = list(session.execute("SELECT * FROM late_events WHERE job = 'ad-metrics' ALLOW FILTERING"))
    assert len({row.checkpoint for row in rows}) == 1
    return {
        (row.window_start.replace(tzinfo=UTC), row.batch_id): (row.events, row.events_once, dict(row.delays))
        for row in rows
    }


def test_late_events_are_counted_by_window_and_a_batch_that_comes_again_changes_nothing(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    mix = ("--over", "3m", "--late", "0.1", "--out-of-order", "0.1", "--duplicates", "0.05")
    pipeline.produce("--count", "3000", *mix)
    first = "\n".join(pipeline.run(spark))
    before = stored(pipeline)
    pipeline.produce("--count", "1000", *mix)
    # Without its commit the batch runs again, as after a crash between the write and the commit.
    (pipeline.checkpoint / "commits" / "0").unlink()
    second = "\n".join(pipeline.run(spark))
    found = stored(pipeline)
    assert {place: row for place, row in found.items() if place[1] == 0} == before

    windows, delays = oracle(pipeline)
    by_window: Windows = defaultdict(Counter)
    for (start, _), (events, _, kept) in found.items():
        assert events == sum(kept.values())
        by_window[start].update(kept)
    assert by_window == windows
    assert sum(once for _, once, _ in found.values()) == len(delays) > 300

    reported = re.findall(r"batch (\d+) .* ([\d,]+) late \(window .*; a lateness of \d+[smhd] would", first + second)
    assert sum({batch: int(late) for batch, late in reported}.values()) == len(delays)

    page = adstream("show", "ad-metrics", "--late", "--limit", "3").stdout
    wanted = [text(delays[ceil(len(delays) * share / 1_000) - 1]) for share in (900, 990, 999)]
    assert f"{len(delays):,} events were late" in page
    assert f"a lateness of {wanted[0]} would have kept 90 %, {wanted[1]} 99 %, {wanted[2]} 99.9 % of them" in page, page
    newest = sorted(windows, reverse=True)[:3]
    assert re.findall(r"(\d{4}-\S+ \d\d:\d\d:\d\d) +\S* *(\d+)", page) == [
        (f"{start:%Y-%m-%d %H:%M:%S}", str(windows[start].total())) for start in newest
    ]
    pipeline.verified()


def test_without_late_events_the_page_says_so_and_for_other_jobs_where_to_look(pipeline: Pipeline) -> None:
    assert "no event of ad-metrics was late" in adstream("show", "ad-metrics", "--late").stdout
    assert "in `adstream stream ad-tail`" in adstream("show", "ad-tail", "--late").stderr
