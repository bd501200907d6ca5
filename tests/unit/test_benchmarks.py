"""What the benchmarks make of what they measured."""

from benchmarks.latency import at_share
from benchmarks.peers.quix import together


def test_only_the_time_in_which_all_processes_worked_counts() -> None:
    one = [(10.0, 1_000), (11.0, 2_000), (12.0, 3_000), (20.0, 9_000)]
    other = [(11.0, 1_000), (12.0, 4_000)]
    drained = together([one, other], whole=30.0)
    assert (drained.events, drained.seconds) == (4_000, 1.0)


def test_of_processes_that_never_worked_together_all_counts() -> None:
    drained = together([[(10.0, 500)]], whole=5.0)
    assert (drained.events, drained.seconds) == (500, 5.0)


def test_the_share_of_probes_with_at_most_a_latency() -> None:
    assert [at_share(list(range(1, 101)), share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert at_share([7], 0.99) == 7
