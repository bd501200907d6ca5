"""The lateness that would have kept late events: rounded delays, their counts and percentiles.

A delay is in whole seconds and rounded up, so that a lateness of the rounded delay is certain to keep the event. Up to
two minutes it is exact to a second. Above that it is at most a tenth longer than necessary.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

# Delays up to this many seconds are multiples of this step; the last step is for all longer ones.
STEPS = ((120, 1), (1_200, 10), (7_200, 60), (72_000, 600), (864_000, 3_600))
LAST_STEP = 86_400

# Rounded delay in seconds -> how many events needed it.
Delays = Mapping[int, int]

# No lateness is longer. An event this late has a wrong clock, a wrong unit of time, or a time before 1970, which no job
# counts. To wait for it would keep a month of state.
LONGEST_WAIT = 30 * 86_400

# Per mille of the late events -> how it is written.
SHARES = {900: "90 %", 990: "99 %", 999: "99.9 %"}


def rounded_up(seconds: int) -> int:
    """Return the delay, rounded up to the next multiple of its step.

    The Spark version is in streaming.lateness.counts.
    """
    step = next((step for limit, step in STEPS if seconds <= limit), LAST_STEP)
    return -(-seconds // step) * step


def merged(counts: Iterable[Delays]) -> Counter[int]:
    """Add up several counts."""
    total: Counter[int] = Counter()
    for each in counts:
        total.update(each)
    return total


def within_reach(delays: Delays) -> tuple[Delays, int]:
    """Return the delays that a job could wait for, and the number of events beyond them.

    Advice uses only the delays within reach.
    """
    near = {delay: events for delay, events in delays.items() if delay <= LONGEST_WAIT}
    return near, sum(delays.values()) - sum(near.values())


def percentile(delays: Delays, per_mille: int) -> int:
    """Return the shortest delay that would have kept this many per mille of the events, by nearest rank.

    With all n delays in order, the result has the place ceil(n * per_mille / 1000). Raises ValueError if there are
    none.
    """
    rank = -(-sum(delays.values()) * per_mille // 1_000)
    passed = 0
    for delay, events in sorted(delays.items()):
        passed += events
        if passed >= rank > 0:
            return delay
    raise ValueError("no late events")


def text(seconds: int) -> str:
    """Return the delay in the form of an option: `90s`, `14m`, `2h`, `3d`; exact."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
