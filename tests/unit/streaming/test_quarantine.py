import random

import pytest

from streaming.recovery.quarantine import MOST, Ranges, culprits


def places(ranges: Ranges) -> set[tuple[int, int]]:
    return {(partition, offset) for partition, (begin, end) in ranges.items() for offset in range(begin, end)}


@pytest.mark.parametrize("number", [1, 2, 5, MOST])
@pytest.mark.parametrize("seed", range(10))
def test_exactly_those_that_crash_are_found(number: int, seed: int) -> None:
    chance = random.Random(seed)
    ranges = {0: (100, 100 + chance.randrange(20, 400)), 1: (0, 0), 3: (7, 7 + chance.randrange(20, 400))}
    bad = set(chance.sample(sorted(places(ranges)), number))
    computed: list[int] = []

    def crashes(part: Ranges) -> bool:
        computed.append(len(places(part)))
        assert places(part) <= places(ranges)
        assert computed[-1] > 0
        return bool(places(part) & bad)

    assert culprits(ranges, crashes) == sorted(bad)
    assert len(computed) < 30 * number + 30


def test_a_fault_that_every_message_meets_is_nobodys() -> None:
    computed = []

    def crashes(part: Ranges) -> bool:
        computed.append(part)
        return True

    assert culprits({0: (0, 10_000)}, crashes) == []
    assert len(computed) < 100


def test_a_fault_that_does_not_come_again_is_nobodys() -> None:
    assert culprits({0: (0, 1_000)}, lambda _part: False) == []


def test_a_service_that_fails_and_comes_back_blames_no_message() -> None:
    answers = iter([True] * 8)
    assert culprits({0: (0, 100)}, lambda _part: next(answers, False)) == []


def test_the_rest_must_go_through() -> None:
    crashes = iter([True, True, False, True])  # the batch and its first half fail; then the service stays down
    assert culprits({0: (0, 2)}, lambda _part: next(crashes, True)) == []
