"""Oracles for the patterns with state: they see all rows of a key at once, without batches, state or Spark.

Rows begin with the event time in microseconds, and are in event order.
"""

import itertools
from collections.abc import Sequence
from typing import Any

Rows = Sequence[tuple[Any, ...]]


def account(rows: Rows) -> tuple[int, int, int]:
    """Return sum, number and newest time of the rows (time, id, amount). Each id counts once."""
    once = {row[1]: row for row in reversed(rows)}.values()
    return sum(row[2] for row in once), len(once), max(row[0] for row in once)


def since_the_last_pause(rows: Rows, timeout: int) -> tuple[int, int, int]:
    """Return `account` of the rows after the last pause longer than `timeout`."""
    distinct = list({row[1]: row for row in reversed(rows)}.values())[::-1]
    distinct.sort(key=lambda row: row[0])
    begins = [n for n in range(1, len(distinct)) if distinct[n][0] - distinct[n - 1][0] > timeout]
    return account(distinct[begins[-1] if begins else 0 :])


def sessions(rows: Rows, gap: int) -> set[tuple[int, int, int]]:
    """Return first time, last time and number of rows of each session, cut at gaps longer than `gap`."""
    times = [row[0] for row in rows]
    cuts = [0, *(n for n in range(1, len(times)) if times[n] - times[n - 1] > gap), len(times)]
    return {(times[first], times[end - 1], end - first) for first, end in itertools.pairwise(cuts)}


def windows_above(times: Sequence[int], window: int, threshold: int) -> set[int]:
    """Return the starts of the tumbling windows with more than `threshold` times."""
    starts = [time // window * window for time in times]
    return {start for start in starts if starts.count(start) > threshold}


def changes(rows: Rows, threshold: int, readings: int) -> list[tuple[int, str, float]]:
    """Return the changes of status in rows (time, temperature). A warning needs `readings` hot rows in a row."""
    status = ["normal"]
    for end in range(1, len(rows) + 1):
        last = rows[max(0, end - readings) : end]
        hot = len(last) == readings and all(row[1] >= threshold for row in last)
        status.append("warning" if hot else "normal")
    return [
        (row[0], after, row[1])
        for row, (before, after) in zip(rows, itertools.pairwise(status), strict=True)
        if before != after
    ]
