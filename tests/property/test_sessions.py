"""Sessions do not depend on batches, order within them, or timers."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streaming.patterns.user_sessions import UserSessions
from tests.property.keyed_streams import (
    EXAMPLES,
    SECOND,
    START,
    Keyed,
    Outcome,
    nothing_is_kept_too_long,
    of_each_key,
    run,
    split,
    used,
)
from tests.property.oracles import sessions

GAP = 30 * SECOND

delays = st.sampled_from([1_000, GAP // 3, 600 * SECOND])
steps = st.sampled_from([0, 1, GAP // 3, GAP // 2, GAP - 1, GAP, GAP + 1, 600 * SECOND])
chances = st.builds(Random, st.integers(0, 2**64 - 1))


@st.composite
def clicks(draw: st.DrawFn) -> list[Keyed]:
    rows: list[Keyed] = []
    at = START
    for user, step in draw(st.lists(st.tuples(st.sampled_from("abc"), steps), min_size=1)):
        at += step
        rows.append((user, (at,)))
    return rows


def table(outcome: Outcome) -> dict[str, set[tuple[int, int, int]]]:
    """Return each user's sessions after an upsert of all rows by user and start."""
    by_start = {(user, start): (start, last, events) for user, (start, last, events) in outcome.emitted}
    found: dict[str, set[tuple[int, int, int]]] = {}
    for (user, _), session in by_start.items():
        found.setdefault(user, set()).add(session)
    return found


@EXAMPLES
@given(clicks(), delays, chances)
def test_in_event_order_the_sessions_are_those_between_the_gaps(rows: list[Keyed], delay: int, chance: Random) -> None:
    outcome = run(UserSessions(GAP), split(rows, chance), delay=delay, chance=chance)
    assert table(outcome) == {user: sessions(own, GAP) for user, own in of_each_key(rows).items()}
    assert not outcome.late.total()


@EXAMPLES
@given(clicks(), delays, chances)
def test_in_any_order_each_event_is_in_a_session_or_counted_as_late(
    rows: list[Keyed], delay: int, chance: Random
) -> None:
    chance.shuffle(rows)
    outcome = run(UserSessions(GAP), split(rows, chance), delay=delay, chance=chance)
    counted, late = used(outcome.let_through)
    assert table(outcome) == {user: sessions(own, GAP) for user, own in of_each_key(counted).items()}
    assert outcome.late == late
    events = sum(session[2] for of_user in table(outcome).values() for session in of_user)
    assert events + late.total() == sum(len(batch) for batch in outcome.let_through)


@EXAMPLES
@given(clicks(), delays, chances)
def test_no_session_is_remembered_past_its_gap(rows: list[Keyed], delay: int, chance: Random) -> None:
    rules = UserSessions(GAP)
    outcome = run(rules, split(rows, chance), delay=delay, chance=chance)
    end = max(row[0] for _, row in rows) + GAP
    assert all(rules.expires_at(state) <= end for state in outcome.states.values())
    assert nothing_is_kept_too_long(rules, outcome)
