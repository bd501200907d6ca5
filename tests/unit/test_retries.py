"""Remote calls are retried a few times, for some seconds, and only after a fault that may pass."""

import time

import pytest

from common import retries


class Calls:
    """A call that fails a number of times. `MOST` is far more than any policy of ours allows."""

    MOST = 8

    def __init__(self, failures: int, error: Exception) -> None:
        self.made = 0
        self._failures, self._error = failures, error

    def __call__(self) -> int:
        self.made += 1
        assert self.made < self.MOST, "it is retried without end"
        if self.made <= self._failures:
            raise self._error
        return self.made


def test_a_call_that_never_succeeds_ends_with_its_own_error() -> None:
    error, began = ConnectionError("away"), time.monotonic()
    calls = Calls(Calls.MOST, error)
    with pytest.raises(ConnectionError) as raised:
        retries.call(calls, on=ConnectionError)
    assert raised.value is error
    assert calls.made == retries.ATTEMPTS
    assert time.monotonic() - began < retries.LONGEST_SECONDS


def test_a_fault_that_passes_is_not_seen() -> None:
    assert retries.call(Calls(1, ConnectionError("away")), on=(OSError,)) == 2


def test_any_other_error_comes_at_once() -> None:
    calls = Calls(1, ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        retries.call(calls, on=ConnectionError)
    assert calls.made == 1
