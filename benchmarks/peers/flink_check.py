"""Checks Flink's sums: compares its rows over a small topic with repetitions with sums by plain Python."""

import threading
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime

from benchmarks.peers import flink_sql
from benchmarks.peers.drained import PeerMissing
from benchmarks.peers.flink import Flink, Way
from common.registry import RegistryClient
from common.settings import Settings
from consumer.debug import DebugConsumer
from consumer.decoding import Decoded, Decoder

SLIDE_SECONDS, WINDOW_SLIDES = 30, 2
CENT = 0.01

# The ad, or the start of a window (UTC) and the ad.
Key = tuple[str, ...]
Sums = tuple[int, int, float]


def check(flink: Flink, way: Way, settings: Settings, topic: str) -> None:
    """Compare the rows of windows and totals with plain Python.

    Raises PeerMissing if a row differs in clicks or views, or by a cent.
    """
    for query, expected in expectations(settings, topic, once=way.exactly_once).items():
        found = settled(flink.rows(way, topic, query))
        if wrong := differences(found, expected):
            raise PeerMissing(
                f"{len(wrong)} of {len(expected)} rows are wrong, the first that of {', '.join(wrong[0])}"
            )


def expectations(settings: Settings, topic: str, *, once: bool) -> dict[str, dict[Key, Sums]]:
    """Compute the rows of each query by key, from the messages of the topic."""
    windows: dict[Key, Sums] = defaultdict(lambda: (0, 0, 0.0))
    totals: dict[Key, Sums] = defaultdict(lambda: (0, 0, 0.0))
    known: set[str] = set()
    decode = Decoder(RegistryClient(settings.registry))
    with closing(DebugConsumer(settings, topic, group=None, from_start=True)) as consumer:
        for batch in consumer.batches(threading.Event(), to_end=True):
            for message in batch:
                decoded = decode(message.value())
                assert isinstance(decoded, Decoded)  # noqa: S101 - the benchmark has just written it
                event = decoded.value
                if once and event["event_id"] in known:
                    continue
                known.add(event["event_id"])
                _add(totals, (event["ad_id"],), event)
                for start in starts(event["timestamp"]):
                    _add(windows, (start, event["ad_id"]), event)
    return {flink_sql.WINDOWS: windows, flink_sql.TOTALS: totals}


def settled(changes: list[str]) -> dict[Key, Sums]:
    """Return the final rows of Flink's changelog: `+I[...]` and `+U[...]` put a row, others remove it."""
    rows: dict[Key, Sums] = {}
    for change in changes:
        *key, clicks, views, cost = change[3:-1].split(", ")
        if change.startswith("+"):
            rows[tuple(key)] = int(clicks), int(views), float(cost)
        else:
            rows.pop(tuple(key), None)
    return rows


def differences(found: dict[Key, Sums], expected: dict[Key, Sums]) -> list[Key]:
    """Return the keys of rows that are missing, superfluous, or different."""
    return sorted(
        key
        for key in found.keys() | expected.keys()
        if key not in found or key not in expected or not _alike(found[key], expected[key])
    )


def _alike(one: Sums, other: Sums) -> bool:
    return one[:2] == other[:2] and abs(one[2] - other[2]) < CENT


def _add(rows: dict[Key, Sums], key: Key, event: dict[str, float]) -> None:
    clicks, views, cost = rows[key]
    rows[key] = int(clicks + event["clicks"]), int(views + event["views"]), cost + event["cost"]


def starts(time: datetime) -> list[str]:
    """Return the starts of the windows that contain an event, as Flink prints them."""
    last = int(time.timestamp()) // SLIDE_SECONDS
    starts = (datetime.fromtimestamp((last - back) * SLIDE_SECONDS, UTC) for back in range(WINDOW_SLIDES))
    return [each.strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00") for each in starts]
