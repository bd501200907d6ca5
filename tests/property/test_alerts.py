"""Each alert comes once, whatever the batches, the order within them, or the timers."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streaming.patterns.error_alerts import ErrorAlerts
from streaming.patterns.rack_alerts import RackAlerts
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
from tests.property.oracles import changes, windows_above

WINDOW = 900 * SECOND
THRESHOLD = 3
READINGS = 3

chances = st.builds(Random, st.integers(0, 2**64 - 1))
delays = st.sampled_from([1_000, WINDOW // 3, 3600 * SECOND])
error_steps = st.sampled_from([0, 1, SECOND, SECOND, 60 * SECOND, WINDOW // 3, WINDOW - 1, WINDOW])
reading_steps = st.sampled_from([0, SECOND, 300 * SECOND, 3600 * SECOND])
temperatures = st.sampled_from([99.0, 99.99, 100.0, 100.01, 120.0])


@st.composite
def errors(draw: st.DrawFn) -> list[Keyed]:
    """Draw errors. The key of each is its window."""
    rows: list[Keyed] = []
    at = START
    for step in draw(st.lists(error_steps, min_size=1)):
        at += step
        rows.append((at // WINDOW * WINDOW, (at,)))
    return rows


@st.composite
def rack_readings(draw: st.DrawFn) -> list[Keyed]:
    rows: list[Keyed] = []
    at = START
    for rack, step, temperature in draw(
        st.lists(st.tuples(st.sampled_from("abc"), reading_steps, temperatures), min_size=1)
    ):
        at += step
        rows.append((rack, (at, temperature)))
    # Readings of the same time are processed by temperature.
    return sorted(rows, key=lambda keyed: keyed[1])


@EXAMPLES
@given(errors(), delays, chances, st.booleans())
def test_an_error_alert_comes_once_for_each_window_above_the_threshold(
    rows: list[Keyed], delay: int, chance: Random, in_order: bool
) -> None:
    if not in_order:
        chance.shuffle(rows)
    outcome = run(ErrorAlerts(WINDOW, THRESHOLD), split(rows, chance), delay=delay, chance=chance)
    times = [row[0] for batch in outcome.let_through for _, row in batch]
    assert len(times) == len(rows) or not in_order
    raised = [window for window, _ in outcome.emitted]
    assert len(raised) == len(set(raised))
    assert set(raised) == windows_above(times, WINDOW, THRESHOLD)
    assert not outcome.late.total()


@EXAMPLES
@given(errors(), delays, chances)
def test_no_window_is_remembered_past_its_end(rows: list[Keyed], delay: int, chance: Random) -> None:
    rules = ErrorAlerts(WINDOW, THRESHOLD)
    outcome = run(rules, split(rows, chance), delay=delay, chance=chance)
    end = max(window for window, _ in rows) + WINDOW
    assert all(rules.expires_at(state) <= end for state in outcome.states.values())
    assert nothing_is_kept_too_long(rules, outcome)


@EXAMPLES
@given(rack_readings(), delays, chances)
def test_in_event_order_a_rack_changes_where_its_last_readings_say_so(
    rows: list[Keyed], delay: int, chance: Random
) -> None:
    outcome = run(RackAlerts(100, READINGS), split(rows, chance), delay=delay, chance=chance)
    expected = {rack: changes(own, 100, READINGS) for rack, own in of_each_key(rows).items()}
    assert of_each_key(outcome.emitted) == {rack: own for rack, own in expected.items() if own}
    assert not outcome.late.total()


@EXAMPLES
@given(rack_readings(), delays, chances, st.integers(1, 4))
def test_in_any_order_each_reading_is_used_or_counted_as_late(
    rows: list[Keyed], delay: int, chance: Random, readings: int
) -> None:
    chance.shuffle(rows)
    outcome = run(RackAlerts(100, readings), split(rows, chance), delay=delay, chance=chance)
    counted, late = used(outcome.let_through)
    expected = {rack: changes(own, 100, readings) for rack, own in of_each_key(counted).items()}
    assert of_each_key(outcome.emitted) == {rack: own for rack, own in expected.items() if own}
    assert outcome.late == late
