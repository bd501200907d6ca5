"""A driver or a migration that loses a race stops, and writes nothing.

A real service decides such a race by chance. So Cassandra's answers are written down here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from common.bookkeeping import job_checkpoints, leases
from common.cassandra.cassandra_lock import held
from common.errors import CheckpointError, MigrationError, SinkError
from common.settings import Settings

OTHER = SimpleNamespace(holder="host/7/ab", start=1, checkpoint_id="other")
LOST = SimpleNamespace(was_applied=False, one=lambda: OTHER)


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each light-weight transaction loses against another process. Returns the statements."""
    asked: list[str] = []

    def execute(query: Any, _values: Any) -> Any:
        asked.append(query.query_string)
        return LOST

    @contextmanager
    def connect(*_arguments: Any, **_names: Any) -> Iterator[Any]:
        yield SimpleNamespace(execute=execute)

    for module in (leases, job_checkpoints):
        monkeypatch.setattr(module, "connect", connect)
    return asked


def test_a_driver_that_never_gets_the_lease_ends(losing: list[str]) -> None:
    with pytest.raises(SinkError, match="others take the lease of ad-metrics again and again"):
        leases.take(Settings().cassandra, "ad-metrics")
    assert sum("IF start = " in each for each in losing) > 1


def test_of_two_checkpoints_that_begin_at_once_one_ends(losing: list[str]) -> None:
    claim = job_checkpoints.Claim("ad-metrics", "ads_data", "mine", "/checkpoint", fresh=True)
    with pytest.raises(CheckpointError, match="another checkpoint of ad-metrics began to count ads_data"):
        job_checkpoints.take(Settings().cassandra, claim, None)
    assert "IF NOT EXISTS" in losing[0]


def test_a_migration_that_has_lost_its_lock_executes_nothing() -> None:
    ran: list[str] = []

    def run(statement: str, _values: tuple[object, ...]) -> Any:
        ran.append(statement)
        return SimpleNamespace(was_applied=not statement.startswith("UPDATE"))

    with held(run, "ads", "migrate", pytest.fail) as locked, pytest.raises(MigrationError, match="the lock was lost"):
        locked("CREATE TABLE x", ())
    assert "CREATE TABLE x" not in ran


def test_a_migration_waits_for_another_one_so_long_and_names_it() -> None:
    refused = pytest.raises(MigrationError, match=r"^host/7 \(host/process\) has held the migration lock for")
    with refused, held(lambda *_: LOST, "ads", "migrate", pytest.fail, wait_seconds=0):
        pytest.fail("two migrations at once")
