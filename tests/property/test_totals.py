"""Totals per user do not depend on batches, order or timers, and count each transaction once."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streaming.patterns.expiring_totals import ExpiringTotals
from streaming.patterns.running_totals import RunningTotals
from tests.property.keyed_streams import (
    EXAMPLES,
    SECOND,
    START,
    Keyed,
    nothing_is_kept_too_long,
    of_each_key,
    run,
    split,
    used,
)
from tests.property.oracles import account, since_the_last_pause

TIMEOUT = 1800 * SECOND

delays = st.sampled_from([1_000, 600 * SECOND, 3600 * SECOND])
steps = st.sampled_from([0, 1, 600 * SECOND, TIMEOUT // 2 + SECOND, TIMEOUT - 1, TIMEOUT, TIMEOUT + 1])
amounts = st.integers(-(10**12), 10**12)
chances = st.builds(Random, st.integers(0, 2**64 - 1))


@st.composite
def transactions(draw: st.DrawFn) -> list[Keyed]:
    """Draw transactions of few users, in event order. Some come again later, unchanged."""
    drawn = draw(st.lists(st.tuples(st.sampled_from("abc"), steps, amounts, st.none() | st.integers(0, 5)), min_size=1))
    rows: list[Keyed] = []
    at = START
    for number, (user, step, amount, again) in enumerate(drawn):
        at += step
        rows.append((user, (at, str(number), amount)))
        if again is not None:
            rows.append(rows[-1 - again % len(rows)])
    return rows


def last_totals(emitted: list[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    return dict(emitted)


@EXAMPLES
@given(transactions(), delays, chances)
def test_running_totals_add_up_what_the_watermark_lets_through_in_any_order(
    rows: list[Keyed], delay: int, chance: Random
) -> None:
    chance.shuffle(rows)
    outcome = run(RunningTotals(), split(rows, chance), delay=delay, chance=chance)
    let_through = [row for batch in outcome.let_through for row in batch]
    assert last_totals(outcome.emitted) == {user: account(own) for user, own in of_each_key(let_through).items()}
    assert not outcome.late.total()


@EXAMPLES
@given(transactions(), delays, chances)
def test_in_event_order_every_transaction_is_in_the_totals(rows: list[Keyed], delay: int, chance: Random) -> None:
    by_user = of_each_key(rows)
    outcome = run(RunningTotals(), split(rows, chance), delay=delay, chance=chance)
    assert last_totals(outcome.emitted) == {user: account(own) for user, own in by_user.items()}
    outcome = run(ExpiringTotals(TIMEOUT), split(rows, chance), delay=delay, chance=chance)
    assert last_totals(outcome.emitted) == {user: since_the_last_pause(own, TIMEOUT) for user, own in by_user.items()}
    assert not outcome.late.total()


@EXAMPLES
@given(transactions(), delays, chances)
def test_expiring_totals_use_or_count_as_late_each_row_that_comes_in_any_order(
    rows: list[Keyed], delay: int, chance: Random
) -> None:
    chance.shuffle(rows)
    outcome = run(ExpiringTotals(TIMEOUT), split(rows, chance), delay=delay, chance=chance)
    counted, late = used(outcome.let_through, identity=1)
    by_user = of_each_key(counted)
    assert last_totals(outcome.emitted) == {user: since_the_last_pause(own, TIMEOUT) for user, own in by_user.items()}
    assert outcome.late == late


@EXAMPLES
@given(transactions(), delays, chances)
def test_an_idle_user_is_forgotten_and_of_a_running_total_only_the_ids(
    rows: list[Keyed], delay: int, chance: Random
) -> None:
    running = run(RunningTotals(), split(rows, chance), delay=delay, chance=chance)
    assert nothing_is_kept_too_long(RunningTotals(), running)
    assert running.states.keys() == {user for user, _ in rows}
    ends = [RunningTotals().expires_at(state) for state in running.states.values() if state.ids]
    assert None not in ends
    expiring = run(ExpiringTotals(TIMEOUT), split(rows, chance), delay=delay, chance=chance)
    end = max(row[0] for _, row in rows) + TIMEOUT
    assert all(ExpiringTotals(TIMEOUT).expires_at(state) <= end for state in expiring.states.values())
    assert nothing_is_kept_too_long(ExpiringTotals(TIMEOUT), expiring)
