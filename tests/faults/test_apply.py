"""`adstream apply`, Kafka or Cassandra fails. No row goes back meanwhile, and all rows are right at the end."""

import random
import time

import pytest

from streaming.apply.changelog import SESSION_MILLIS
from tests.e2e.applying import Applying, apply_rest, sending
from tests.e2e.pipeline import Pipeline
from tests.e2e.row_watch import watched
from tests.e2e.updates import Updates
from tests.faults.account import Account
from tests.faults.applied import member, settle_applied
from tests.faults.services import frozen, killed

RATE = 300


def test_killed_anywhere_and_started_again(pipeline: Pipeline, account: Account, seed: int) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE):
        for _ in range(3):
            with Applying("--member", "one", "--metrics-port", "off") as process:
                process.wait_until(lambda told: told["rows_written"] > 100)
                account.recovered()
                wait = chance.uniform(0, 0.5)
                time.sleep(wait)  # to a random point of a write
                with account.fault("applying process killed", f"{wait:.2f} s after a write"):
                    process.kill()
    settle_applied(account, pipeline, updates)


def test_frozen_until_others_have_its_partitions_it_wakes_and_its_rows_lose(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with (
        watched(pipeline.settings),
        sending(updates, RATE),
        Applying("--metrics-port", "off") as sleeper,
        Applying("--metrics-port", "off") as other,
    ):
        sleeper.wait_for_partitions(1)
        other.wait_for_partitions(1)
        wait = chance.uniform(0, 0.5)
        time.sleep(wait)  # to a random point of a write
        with account.fault("applying process frozen until another has its partitions", f"after {wait:.2f} s of writes"):
            sleeper.freeze()
            other.wait_for_partitions(2)
            before = other.told["rows_written"]
            other.wait_until(lambda told: told["rows_written"] > before + 200)
            sleeper.thaw()
        read = sleeper.told["rows_read"]
        sleeper.wait_until(lambda told: told["rows_read"] > read + 50)
        account.recovered()
        assert [each.end()[0] for each in (sleeper, other)] == [0, 0]
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_frozen_for_less_than_its_session_it_keeps_its_partitions(
    pipeline: Pipeline, account: Account, seed: int
) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        before = member(pipeline.settings)
        lasts = chance.uniform(1, SESSION_MILLIS / 1_000 - 3)
        with account.fault(f"applying process frozen for {lasts:.1f} s", "while it writes"):
            process.freeze()
            time.sleep(lasts)
            process.thaw()
        read = process.told["rows_read"]
        process.wait_until(lambda told: told["rows_read"] > read + 50)
        account.recovered()
        assert member(pipeline.settings) == before
        assert process.end()[0] == 0
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_two_come_and_go(pipeline: Pipeline, account: Account, seed: int) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as steady:
        for _ in range(2):
            steady.wait_for_partitions(2)
            with Applying("--metrics-port", "off") as guest:
                guest.wait_for_partitions(1)
                wait = chance.uniform(0, 1)
                time.sleep(wait)  # to a random point of a write
                kill = chance.random() < 0.5
                what = f"second applying process {'killed' if kill else 'stopped'}"
                with account.fault(what, f"{wait:.2f} s after it got a partition"):
                    if kill:
                        guest.kill()
                    else:
                        assert guest.end()[0] == 0
            steady.wait_for_partitions(2)
            written = steady.told["rows_written"]
            steady.wait_until(lambda told, written=written: told["rows_written"] > written)
            account.recovered()
        steady.wait_for_partitions(2)
        assert steady.end()[0] == 0
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_cassandra_killed_for_a_while(pipeline: Pipeline, account: Account, seed: int) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        stays = member(pipeline.settings)
        wait = chance.uniform(0, 0.5)
        time.sleep(wait)  # to a random point of a write
        with killed(pipeline.settings, "cassandra"), account.fault("Cassandra killed", f"after {wait:.2f} s of writes"):
            process.wait_until(lambda told: bool(told["waiting_for"]))
        before = process.told["rows_written"]
        process.wait_until(lambda told: told["rows_written"] > before and not told["waiting_for"])
        account.recovered()
        assert member(pipeline.settings) == stays
        assert process.end()[0] == 0
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_cassandra_frozen_for_twenty_seconds(pipeline: Pipeline, account: Account, seed: int) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        wait = chance.uniform(0, 0.5)
        time.sleep(wait)  # to a random point of a write
        what = "Cassandra frozen for 20 s"
        with frozen(pipeline.settings, "cassandra"), account.fault(what, f"after {wait:.2f} s of writes"):
            time.sleep(20)  # the length of the fault
        before = process.told["rows_written"]
        process.wait_until(lambda told: told["rows_written"] > before and not told["waiting_for"])
        account.recovered()
        assert process.end()[0] == 0
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_a_stop_while_cassandra_is_away_says_what_is_not_written(pipeline: Pipeline) -> None:
    updates = Updates(pipeline.settings)
    with sending(updates, RATE), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        with killed(pipeline.settings, "cassandra"):
            process.wait_until(lambda told: bool(told["waiting_for"]))
            code, errors = process.end()
        assert code == 1
        assert errors.count("\n") == 1
        assert "rows are not in the tables yet, and come again at the next start" in errors
    apply_rest(pipeline, updates)


@pytest.mark.thorough
@pytest.mark.parametrize("fault", [killed, frozen], ids=["killed", "frozen"])
def test_kafka_away_for_a_while(pipeline: Pipeline, account: Account, seed: int, fault: object) -> None:
    chance, updates = random.Random(seed), Updates(pipeline.settings)
    with watched(pipeline.settings), sending(updates, RATE), Applying("--metrics-port", "off") as process:
        process.wait_until(lambda told: told["rows_written"] > 100)
        wait, lasts = chance.uniform(0, 0.5), chance.uniform(1, 8)
        time.sleep(wait)  # to a random point of a write
        what = f"Kafka {'killed' if fault is killed else 'frozen'} for {lasts:.1f} s"
        with (
            (killed if fault is killed else frozen)(pipeline.settings, "kafka"),
            account.fault(what, f"after {wait:.2f} s of writes"),
        ):
            time.sleep(lasts)
        before = process.told["rows_written"]
        process.wait_until(lambda told: told["rows_written"] > before + 100)
        account.recovered()
        assert process.end()[0] == 0
    settle_applied(account, pipeline, updates)


@pytest.mark.thorough
def test_a_stop_while_kafka_is_away_ends_all_the_same(pipeline: Pipeline) -> None:
    updates = Updates(pipeline.settings)
    with Applying("--metrics-port", "off") as process:
        with sending(updates, RATE):
            process.wait_until(lambda told: told["rows_written"] > 100)
        with killed(pipeline.settings, "kafka"):
            process.wait_until(lambda told: bool(told["waiting_for"]))
            assert process.end() == (0, "")
    apply_rest(pipeline, updates)
