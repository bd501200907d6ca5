"""The timestamps of a writer's batches only grow, also when its lease is used up."""

import pytest

from common.bookkeeping import leases


def test_each_batch_writes_with_a_larger_timestamp_and_a_used_up_lease_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "BATCHES", 3)
    starts = iter([100, 103, 999])
    lease = leases.Lease(lambda: next(starts))
    assert [lease.next() for _ in range(8)] == [100, 101, 102, 103, 104, 105, 999, 1_000]
