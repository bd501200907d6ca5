"""The time from an event to its row: a histogram, by fixed bounds, of all rows since the process began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

BOUNDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75,
    1, 1.5, 2, 3, 5, 10, 30, 60, 120, 300, 600,
)  # fmt: skip
_EDGES = np.array(BOUNDS)


def _none() -> npt.NDArray[np.int64]:
    return np.zeros(len(BOUNDS) + 1, np.int64)


@dataclass
class Freshness:
    """Rows by the seconds from their newest event to Cassandra's acknowledgement; the last count has no bound."""

    counts: npt.NDArray[np.int64] = field(default_factory=_none)
    sum: float = 0.0

    @property
    def count(self) -> int:
        return int(self.counts.sum())

    def observe(self, seconds: npt.NDArray[np.float64]) -> None:
        """Count rows that were acknowledged now. A clock behind the event's gives an age of 0."""
        seconds = np.maximum(seconds, 0.0)
        self.counts += np.bincount(np.searchsorted(_EDGES, seconds), minlength=len(BOUNDS) + 1)
        self.sum += float(seconds.sum())

    def buckets(self) -> dict[str, int]:
        """Return bound -> the rows within that bound, as Prometheus counts them; `+Inf` is all rows."""
        return dict(zip((*map(str, BOUNDS), "+Inf"), np.cumsum(self.counts).tolist(), strict=True))

    def since(self, earlier: "Freshness") -> "Freshness":
        """Return the rows that are not in the earlier copy."""
        return Freshness(self.counts - earlier.counts, self.sum - earlier.sum)

    def copy(self) -> "Freshness":
        return Freshness(self.counts.copy(), self.sum)

    def quantile(self, share: float) -> float | None:
        """Return the seconds within which this share of the rows was written. Between two bounds it interpolates.

        None without rows. Beyond the last bound the answer is that bound.
        """
        return quantile(self.counts.tolist(), share)

    def told(self) -> dict[str, Any]:
        """Return a document with `buckets`, `sum` (seconds) and `count`."""
        return {"buckets": self.buckets(), "sum": round(self.sum, 3), "count": self.count}


def counts_of(buckets: Mapping[str, int]) -> list[int]:
    """Compute the rows in each bucket from the cumulative `Freshness.buckets`."""
    upto = list(buckets.values())
    return [later - earlier for earlier, later in zip([0, *upto], upto, strict=False)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Do the same as `Freshness.quantile` for rows by bucket."""
    wanted, before, lower = share * sum(counts), 0, 0.0
    if not sum(counts):
        return None
    for count, upper in zip(counts, BOUNDS, strict=False):
        if count and before + count >= wanted:
            return lower + (upper - lower) * (wanted - before) / count
        before, lower = before + count, upper
    return float(BOUNDS[-1])
