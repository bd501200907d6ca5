"""Count a batch's judged messages on their way to the pattern, and pass on the events that count.

Spark evaluates `observe` outside of its generated code, and copies each row for it. So rows have few columns here.
Values that only few rows have are computed before, in one more column that is null for all others.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from common.reasons import UNKNOWN_SCHEMA_ID
from common.registry.writers import MOST_ASKED
from streaming.events.judge import LATE, is_dead
from streaming.events.unknown_ids import schema_id
from streaming.lateness.counts import observed_pairs

MOST_REASONS = 256
_IDS_TRACKED = 1_000
# Columns that pass through the observation in addition to the event's fields. No field of a contract has these names.
_OUTCOME, _UNKNOWN_ID, _LATE_PAIR = "_outcome", "_unknown_id", "_late_pair"
_PLACE = ("topic", "partition", "offset")


def counted(judged: DataFrame, *, late_pair: Column | None = None) -> DataFrame:
    """Return the events that count, flat: the contract's fields and `position` (topic:partition:offset, unique).

    Counts all messages as the observed metric `judged` (see `counts`). `late_pair` is the window and delay of a late
    message (streaming.lateness.counts).
    """
    notes = {_OUTCOME: F.col("outcome"), _UNKNOWN_ID: _unknown_id()}
    if late_pair is not None:
        notes[_LATE_PAIR] = late_pair
    passing = judged.select(
        "event.*",
        *(F.col(name).alias(f"_{name}") for name in _PLACE),
        *(column.alias(name) for name, column in notes.items()),
    )
    hidden = [*notes, *(f"_{name}" for name in _PLACE)]
    position = F.concat_ws(":", *(f"_{name}" for name in _PLACE))
    # Spark pushes no condition below an observation, so it does not decode again for each part of the condition.
    seen = passing.observe("judged", *counts(late=late_pair is not None))
    return seen.where(F.col(_OUTCOME).isNull()).withColumn("position", position).drop(*hidden)


def counts(*, late: bool) -> list[Column]:
    """Return aggregates over all messages.

    They are `messages`, `late`, `dead` and, by reason, `dead_by_reason`. `unknown` counts messages of a schema id
    outside the plan; `unknown_ids` are the most frequent of these ids. With `late` there is also `late_by_window`.
    """
    outcome = F.col(_OUTCOME)
    dead = is_dead(outcome)
    found = [
        F.count(F.lit(1)).alias("messages"),
        F.count_if(outcome == LATE).alias("late"),
        F.count_if(dead).alias("dead"),
        F.count_if(outcome == UNKNOWN_SCHEMA_ID).alias("unknown"),
        # The sketch is exact for at most this many different values. There are only a few reasons.
        F.call_function("approx_top_k", F.when(dead, outcome), F.lit(MOST_REASONS), F.lit(MOST_REASONS)).alias(
            "dead_by_reason"
        ),
        # One more, because all other messages are one item: null.
        F.call_function("approx_top_k", F.col(_UNKNOWN_ID), F.lit(MOST_ASKED + 1), F.lit(_IDS_TRACKED)).alias(
            "unknown_ids"
        ),
    ]
    return [*found, observed_pairs(F.col(_LATE_PAIR)).alias("late_by_window")] if late else found


def _unknown_id() -> Column:
    """Return a message's schema id if the plan does not know it; null for all other messages."""
    return F.when(F.col("outcome") == UNKNOWN_SCHEMA_ID, schema_id(F.col("value")))
