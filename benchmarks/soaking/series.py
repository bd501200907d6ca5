"""The series of a soak, and the judgement whether a series is flat."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 2**20

MEMORY, DISK = "memory, MiB", "disk, MiB"
BATCH_TIME, LAG = "time of a batch, s", "events not yet counted"
PER_ID, PER_MESSAGE = "checkpoint, bytes for each id that it keeps", "topic, bytes a message"
PROCESSORS = "processors' time, %"
# In real-time mode a batch lasts as long as its trigger says, and its events are in the tables long before its end.
BEYOND = "a batch beyond its length, s"
WAITING = "rows that wait for the tables"
AGE = "from event to row, s"
HALF, MOST = "p50", "p99"


@dataclass(frozen=True)
class Limit:
    """The growth over the second half that still counts as flat.

    `share` is relative to the half's mean. Growth below `least`, in the series' own unit, is flat in any case: a small
    figure moves by a large share of itself. The mean must not exceed `most`.
    """

    share: float
    least: float = 0.0
    most: float = math.inf

    def __str__(self) -> str:
        text = f"{self.share:.0%}"
        text += f" or {self.least:,g}" if self.least else ""
        return text if math.isinf(self.most) else f"{text}; mean {self.most:,g}"


# By panel, or by panel and series. A series without a limit is only shown.
LIMITS = {
    MEMORY: Limit(0.10),
    BATCH_TIME: Limit(0.25),
    LAG: Limit(0.25),
    PER_ID: Limit(0.10),
    PER_MESSAGE: Limit(0.10),
    BEYOND: Limit(0.25, least=1.0),
    WAITING: Limit(0.25, least=3_000.0),  # the rows of a second, at the usual rate
    f"{AGE}: {HALF}": Limit(0.25, least=0.1, most=1.0),
    f"{AGE}: {MOST}": Limit(0.25, least=1.0, most=5.0),
}

# One measurement: panel -> series -> value.
Sample = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Judged:
    """The judgement of a series.

    `growth` is the growth of the line through its second half, as a share of that half's `mean`.
    """

    name: str
    mean: float
    growth: float
    limit: Limit | None

    @property
    def flat(self) -> bool:
        if self.limit is None:
            return True
        small = self.growth <= self.limit.share or self.growth * self.mean <= self.limit.least
        return small and self.mean <= self.limit.most


def growth(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the second half, and the growth of its least-squares line as a share of that mean."""
    begin = (times[0] + times[-1]) / 2
    late, found = zip(*((at, value) for at, value in zip(times, values, strict=True) if at >= begin), strict=True)
    mean = statistics.fmean(found)
    if len(found) < 2 or not mean:
        return mean, 0.0
    return mean, statistics.linear_regression(late, found).slope * (late[-1] - late[0]) / mean


def series(samples: Sequence[Sample], panel: str) -> dict[str, list[float]]:
    """Return the values of each series of a panel, one for each measurement."""
    names = dict.fromkeys(name for sample in samples for name in sample[panel])
    return {name: [sample[panel].get(name, 0.0) for sample in samples] for name in names}


def judge(minutes: Sequence[float], samples: Sequence[Sample]) -> list[Judged]:
    """Judge each series of the measurements, in their order."""
    judged = []
    for panel in dict.fromkeys(panel for sample in samples for panel in sample):
        for name, values in series(samples, panel).items():
            full = name if name == panel else f"{panel}: {name}"
            judged.append(Judged(full, *growth(minutes, values), LIMITS.get(full, LIMITS.get(panel))))
    return judged
