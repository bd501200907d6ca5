"""Versions: the newest row of each key stays, in every order of arrival, with crashes and several processes.

The oracle is a plain dictionary with rules of its own: it never asks `Newest`. As in Cassandra, of two writes the table
keeps the one with the larger timestamp.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from streaming.apply.newest import Newest
from streaming.apply.updates import Update

ROUNDS = 200


@dataclass
class Table:
    """A table by Cassandra's rule. A reader looks after each write, and must never see a row go back."""

    rows: dict[bytes, Update] = field(default_factory=dict)

    def write(self, updates: Iterable[Update]) -> None:
        for update in updates:
            before = self.rows.get(update.key)
            if before is None or update.version > before.version:
                self.rows[update.key] = update


def history(chance: random.Random) -> list[Update]:
    """Return rows as a query sends them. Counts only grow; after a crash the query counts a part again."""
    found: list[Update] = []
    keys = [b"k%d" % number for number in range(chance.randint(1, 8))]
    count = dict.fromkeys(keys, 0)
    for start in range(chance.randint(1, 4)):
        if start:  # the query resumes at a random earlier commit, with versions of a new turn
            count = {key: chance.randint(0, most) for key, most in count.items()}
        for _ in range(chance.randint(1, 60)):
            key = chance.choice(keys)
            count[key] += 1
            version = 16 * count[key] + start
            found.append(Update(key, version, b"%s at %d" % (key, version), ("t", 0, len(found))))
    return found


def largest(updates: Iterable[Update]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for each in updates:
        found[each.key] = max(each.version, found.get(each.key, -1))
    return found


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_the_newest_row_of_each_key_is_written_whatever_happens(seed: int) -> None:
    """Several processes write batches from messages that repeat. Each remembers a limited number of keys."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    sent, table = history(chance), Table()
    processes = [Newest(remembered=chance.choice([1, 2, 1_000])) for _ in range(chance.randint(1, 3))]
    frozen: list[list[Update]] = []
    seen: dict[bytes, int] = {}
    place = 0
    while place < len(sent):
        size = chance.randint(1, 12)
        batch = sent[place : place + size]
        process = chance.choice(processes)
        chosen = process.choose(batch)
        assert len({each.key for each in chosen}) == len(chosen)
        match chance.random():
            case luck if luck < 0.1:  # the process freezes between choosing and writing, and another takes over
                frozen.append(chosen)
                continue
            case luck if luck < 0.2:  # the process dies after a part of the write: nothing is committed
                table.write(chosen[: chance.randint(0, len(chosen))])
                processes[processes.index(process)] = Newest()
                continue
            case _:
                table.write(chosen)
                process.written(chosen)
        place += size
        if chance.random() < 0.1:  # the last commit was of an older offset
            place = chance.randint(0, place)
        for key, row in table.rows.items():
            assert row.version >= seen.get(key, -1), "a row went back"
            seen[key] = row.version
    for late in frozen:  # the frozen processes wake, and their rows lose
        table.write(late)
    assert {key: row.version for key, row in table.rows.items()} == largest(sent)
    assert all(row.value == b"%s at %d" % (key, row.version) for key, row in table.rows.items())


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_arrival_ends_the_same(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    sent, table, newest = history(chance), Table(), Newest()
    chance.shuffle(sent)
    while sent:
        batch, sent = sent[:7], sent[7:]
        chosen = newest.choose(batch)
        table.write(chosen)
        newest.written(chosen)
    chance = random.Random(seed)
    assert {key: row.version for key, row in table.rows.items()} == largest(history(chance))


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    newest = Newest()
    rows = [Update(b"a", version, b"", ("t", 0, version)) for version in (1, 3, 2)]
    assert newest.choose(rows) == [rows[1]]
    assert (newest.coalesced, newest.outdated) == (2, 0)
    newest.written([rows[1]])
    assert newest.choose([rows[0]]) == newest.choose([rows[1]]) == []
    assert (newest.coalesced, newest.outdated) == (2, 2)
    assert newest.choose([Update(b"a", 4, b"", ("t", 0, 4))])


def test_a_row_that_was_chosen_and_not_written_is_chosen_again() -> None:
    newest, row = Newest(), Update(b"a", 5, b"", ("t", 0, 5))
    assert newest.choose([row]) == newest.choose([row]) == [row]


def test_what_is_remembered_is_bounded() -> None:
    newest = Newest(remembered=10)
    for number in range(1_000):
        newest.written([Update(b"%d" % number, number, b"", ("t", 0, number))])
    assert len(newest._young) + len(newest._old) <= 20
    last = Update(b"999", 999, b"", ("t", 0, 999))
    first = Update(b"0", 0, b"", ("t", 0, 0))
    assert newest.choose([last, first]) == [first]
