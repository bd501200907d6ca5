"""The dashboard's reads by key, against all rows of the tables."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from adstream.dashboard.ads import newest_windows, ranking
from adstream.dashboard.store import Store
from common.cassandra.session import connect
from common.text.moments import iso_utc
from tests.browser.tables import Tables
from tests.e2e.pipeline import Pipeline

HALF_MINUTE, MINUTE, HOUR, DAY = timedelta(seconds=30), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Length and slide of the windows: 2, 10, 60 and 24 of them are open at once.
WINDOWS = [(MINUTE, HALF_MINUTE), (5 * MINUTE, HALF_MINUTE), (HOUR, MINUTE), (DAY, HOUR)]
TIMES = ["2026-03-01T12:00:10.500", "2026-03-01T00:00:10.500", "2026-03-01T12:00:00"]


def write(tables: Tables, random: Random, ad: str, newest: datetime, windows: range, of: tuple[timedelta, ...]) -> None:
    """Write the windows that begin so many slides before `newest`."""
    length, slide = of
    for back in windows:
        start = newest - back * slide
        tables.insert(
            "ad_metrics_by_window", ad_id=ad, day=start.date(), window_start=start, window_end=start + length,
            total_clicks=back, total_views=1, total_cost=Decimal(random.randint(1, 10**9)).scaleb(-6),
        )  # fmt: skip


def test_the_ads_on_top_are_those_of_the_newest_window_that_has_ended_however_many_are_open(pipeline: Pipeline) -> None:
    cassandra, store, seed = pipeline.settings.cassandra, Store(), Random().randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    try:
        with connect(cassandra, keyspace=cassandra.keyspace) as session:
            tables = Tables(session)
            for length, slide in WINDOWS:
                for text in TIMES:
                    compare(tables, store, random, (length, slide), iso_utc(text))
    finally:
        store.close()


def compare(tables: Tables, store: Store, random: Random, of: tuple[timedelta, timedelta], at: datetime) -> None:
    (length, slide), now = of, at.replace(tzinfo=None)
    most = length // slide
    newest = now - (now - datetime.min) % slide  # noqa: DTZ901 - as Cassandra's driver returns times
    name = f"{length}/{slide} at {now} "
    ads = [name + each for each in ("always", "pausing", "fresh", "gone", "silent")]
    always, pausing, fresh, gone, silent = ads
    write(tables, random, always, newest, range(-1, most + 3), of)  # the first of them has not begun
    for back in range(most + 3):
        if random.random() < 0.8 or back == most:  # the newest window that has ended has two ads at least
            write(tables, random, pausing, newest, range(back, back + 1), of)
    write(tables, random, fresh, newest, range(most - 1), of)
    write(tables, random, gone, newest, range(most + 2, most + 4), of)
    stored = [row for row in tables.query("SELECT * FROM ad_metrics_by_window") if row["ad_id"] in ads]

    ended = [row for row in stored if row["window_end"] <= now]
    start = max(row["window_start"] for row in ended)
    expected = sorted(
        (row for row in ended if row["window_start"] == start), key=lambda row: (-row["total_cost"], row["ad_id"])
    )
    found = ranking(newest_windows(store, ads, now), at)
    assert found is not None
    assert (found.start, found.end, found.rows) == (start, start + length, expected), name

    open_still = ranking(newest_windows(store, [fresh, silent], now), at)
    assert open_still is not None
    assert [row["ad_id"] for row in open_still.rows] == [fresh], name
    assert newest_windows(store, [silent], now) == []
