"""The request of a backfill, its result, and its callbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from adstream.verify.tables import Comparison
from common.bookkeeping.backfills import Span


@dataclass(frozen=True)
class Request:
    """The windows that begin in [start, end). With `late` their late events count."""

    start: datetime
    end: datetime
    late: bool = False
    archive: str | None = None


@dataclass(frozen=True)
class LateSums:
    """The sums that an ad's late events add to windows and not to totals; `cost` in the account's currency."""

    events: int
    clicks: int
    views: int
    cost: Decimal

    def __add__(self, other: "LateSums") -> "LateSums":
        return LateSums(
            self.events + other.events,
            self.clicks + other.clicks,
            self.views + other.views,
            self.cost + other.cost,
        )


@dataclass
class Found:
    """The comparison of the closed windows that begin in [start, end) with their expected rows.

    `open` counts requested windows that are not closed. `late` is by ad, and `delay` is the largest lateness.
    `differing` are the pieces with a row that differs.
    """

    start: datetime
    end: datetime
    open: int
    messages: int
    events: int = 0
    comparison: Comparison = field(default_factory=Comparison)
    differing: list[Span] = field(default_factory=list)
    late: dict[str, LateSums] = field(default_factory=dict)
    delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class Listener:
    """Callbacks of a backfill: `notice` gets lines, `progress` the numbers of finished pieces and of all pieces."""

    notice: Callable[[str], None]
    progress: Callable[[int, int], None] = lambda _done, _all: None
