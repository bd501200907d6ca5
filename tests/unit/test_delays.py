"""Delays are never rounded down. Percentiles of their counts equal the sorted list's."""

from collections import Counter
from datetime import timedelta
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.lateness.delays import SHARES, merged, percentile, rounded_up, text
from common.text.durations import parse_duration

PRINT = settings(print_blob=True)
SECONDS = st.integers(0, 400_000_000) | st.integers(0, 20_000)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (1, 1), (120, 120), (121, 130), (1_200, 1_200), (1_201, 1_260), (7_201, 7_800), (72_001, 75_600)],
)
def test_a_delay_is_rounded_up_to_its_step(seconds: int, expected: int) -> None:
    assert rounded_up(seconds) == expected


@PRINT
@given(SECONDS)
def test_a_rounded_delay_is_enough_and_at_most_a_tenth_too_long(seconds: int) -> None:
    found = rounded_up(seconds)
    assert seconds <= found <= max(seconds * 1.1, 120)
    assert found == seconds or seconds > 120
    assert rounded_up(found) == found


@PRINT
@given(st.lists(SECONDS, min_size=1))
def test_percentiles_are_by_nearest_rank_in_the_sorted_list(seconds: list[int]) -> None:
    ordered = sorted(rounded_up(each) for each in seconds)
    for per_mille in SHARES:
        rank = ceil(len(ordered) * per_mille / 1_000)
        assert percentile(Counter(ordered), per_mille) == ordered[rank - 1]


@PRINT
@given(st.lists(SECONDS), st.lists(SECONDS))
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(first: list[int], second: list[int]) -> None:
    assert merged([Counter(first), Counter(second)]) == Counter(first + second)


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no late events"):
        percentile({}, 990)


@PRINT
@given(SECONDS)
def test_a_delay_is_written_as_the_options_take_it(seconds: int) -> None:
    assert parse_duration(text(seconds)) == timedelta(seconds=seconds)
