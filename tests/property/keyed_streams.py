"""Runs the rules of a pattern over batches as Spark would, in microseconds instead of seconds, without Spark.

Spark's behaviour, as observed: Spark drops a row that is not newer than the watermark of the batch *before*. State and
timers follow the watermark of this batch, and timers fire after the rows. Here chance decides whether a timer fires at
all, because results must not depend on it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import settings

from streaming.patterns.keyed_state import EventRow, KeyRules

SECOND = 1_000_000
START = 1_700_000_000 * SECOND

# Examples are quick, but this machine may be busy.
EXAMPLES = settings(max_examples=200, deadline=None, print_blob=True)

Keyed = tuple[Any, EventRow]


@dataclass
class Outcome:
    """The emitted rows, the rows that the watermark let through, and each key's remaining state."""

    emitted: list[tuple[Any, tuple[Any, ...]]] = field(default_factory=list)
    late: Counter[Any] = field(default_factory=Counter)
    let_through: list[list[Keyed]] = field(default_factory=list)
    states: dict[Any, Any] = field(default_factory=dict)


def run(rules: KeyRules[Any], batches: Sequence[Sequence[Keyed]], *, delay: int, chance: Random) -> Outcome:
    """Apply the rules batch by batch, with a watermark `delay` microseconds behind."""
    outcome = Outcome()
    newest = watermark = 0
    for batch in batches:
        before, watermark = watermark, max(watermark, newest - delay)
        let_through = [(key, row) for key, row in batch if row[0] > before]
        newest = max([newest, *(row[0] for _, row in batch)])
        outcome.let_through.append(let_through)
        for key in {key for key, _ in let_through}:
            taken = rules.take(outcome.states.pop(key, None), sorted(row for of, row in let_through if of == key))
            outcome.emitted += [(key, values) for values in taken.emitted]
            outcome.late[key] += taken.late
            _keep(outcome, key, rules.expire(taken.state, watermark))
        for key in [key for key in outcome.states if chance.random() < 0.5]:
            _keep(outcome, key, rules.expire(outcome.states.pop(key), watermark))
    return outcome


def _keep(outcome: Outcome, key: Any, state: Any) -> None:
    if state is not None:
        outcome.states[key] = state


def split(events: Sequence[Keyed], chance: Random) -> list[list[Keyed]]:
    """Cut the events into consecutive batches: few or many, some of them empty, each in random order."""
    often = chance.choice([0, 0.2, 0.5, 0.9])
    batches: list[list[Keyed]] = [[]]
    for event in events:
        while chance.random() < often:
            batches.append([])
        batches[-1].append(event)
    for batch in batches:
        chance.shuffle(batch)
    return batches


def nothing_is_kept_too_long(rules: KeyRules[Any], outcome: Outcome) -> bool:
    """Return whether one timer per state is enough.

    The rest of a state after its expiry must not expire later.
    """
    ends = [(state, rules.expires_at(state)) for state in outcome.states.values()]
    left = [rules.expire(state, end) for state, end in ends if end is not None]
    return all(state is None or rules.expires_at(state) is None for state in left)


def used(let_through: Sequence[Sequence[Keyed]], *, identity: int | None = None) -> tuple[list[Keyed], Counter[Any]]:
    """Return the counted rows, in event order for each key, and the number of late rows per key.

    A row is late if it is older than a row of its key in a batch before. `identity` is the position of an id in a row.
    With `identity`, a repetition of a counted row neither counts nor is late.
    """
    counted: list[Keyed] = []
    late: Counter[Any] = Counter()
    newest: dict[Any, int] = {}
    known: set[tuple[Any, Any]] = set()
    for batch in let_through:
        of_batch: list[Keyed] = []
        for key, row in sorted(batch, key=lambda keyed: keyed[1]):
            if identity is not None and (key, row[identity]) in known:
                continue
            if row[0] < newest.get(key, 0):
                late[key] += 1
                continue
            of_batch.append((key, row))
            if identity is not None:
                known.add((key, row[identity]))
        for key, row in of_batch:
            newest[key] = max(newest.get(key, 0), row[0])
        counted += of_batch
    return counted, late


def of_each_key(rows: Sequence[Keyed]) -> dict[Any, list[EventRow]]:
    """Return the rows of each key, in their order."""
    found: dict[Any, list[EventRow]] = {}
    for key, row in rows:
        found.setdefault(key, []).append(row)
    return found
