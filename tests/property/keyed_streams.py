"""Runs the rules of a pattern over batches as Spark would, in microseconds instead of seconds, without Spark.

Spark's part, as observed: a row is dropped when it is not newer than the watermark of the batch *before*; state and
timers go by the watermark of this batch; timers fire after the rows. Whether a timer fires at all is drawn at random,
because nothing may depend on it.
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
    """The output, the rows that the watermark let through, and the remaining state of each key."""

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
    """Consecutive batches, few or many, some of them empty, each in random order."""
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
    """When the watermark is where a state says that it expires, no more of it will expire: one timer is enough."""
    ends = [(state, rules.expires_at(state)) for state in outcome.states.values()]
    left = [rules.expire(state, end) for state, end in ends if end is not None]
    return all(state is None or rules.expires_at(state) is None for state in left)


def used(let_through: Sequence[Sequence[Keyed]], *, identity: int | None = None) -> tuple[list[Keyed], Counter[Any]]:
    """The rows that count, in event order for each key, and how many were late.

    Late is what is older than a row of its key in a batch before. With `identity`, the position of an id in a row, a
    repetition of a row that counted is neither.
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
