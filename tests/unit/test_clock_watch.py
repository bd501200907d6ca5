"""The watch over a wall clock that somebody sets, beside a monotonic one."""

import pytest

from streaming.query.clock_watch import LEAST_SECONDS, ClockWatch


class Clocks:
    """A wall clock and a monotonic clock. Time passes on both; somebody sets the first."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000.0, 300.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.steady)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def is_set(self, seconds: float) -> None:
        self.wall += seconds


def test_a_clock_that_nobody_sets_never_goes_back() -> None:
    clocks = Clocks()
    for seconds in (0, 0.2, 3_600, 86_400):
        clocks.passes(seconds)
        assert clocks.watch.set_back_by() == 0


@pytest.mark.parametrize("back", [LEAST_SECONDS, 3_600.0])
def test_a_clock_set_back_is_noticed_until_the_query_starts_anew(back: float) -> None:
    clocks = Clocks()
    clocks.passes(10)
    clocks.is_set(-back)
    assert clocks.watch.set_back_by() == pytest.approx(back)
    clocks.passes(1)
    assert clocks.watch.set_back_by() == pytest.approx(back)


def test_small_corrections_are_left_alone() -> None:
    clocks = Clocks()
    clocks.is_set(-LEAST_SECONDS / 2)
    assert clocks.watch.set_back_by() == 0
    clocks.is_set(-LEAST_SECONDS / 2)
    assert clocks.watch.set_back_by() == pytest.approx(LEAST_SECONDS)


def test_after_a_clock_went_forward_its_way_back_counts() -> None:
    clocks = Clocks()
    clocks.is_set(3_600)
    assert clocks.watch.set_back_by() == 0
    clocks.is_set(-3_600)
    assert clocks.watch.set_back_by() == pytest.approx(3_600)
