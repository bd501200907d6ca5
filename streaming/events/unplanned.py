"""End a real-time query at a message of a schema outside the plan, before its batch can be committed.

A micro-batch with such messages stays uncommitted after its rows were computed (streaming.micro_batch.writer). A
real-time batch has no such moment. So the first message of an id outside the plan ends the query, unless the registry
is known not to have the id. The runner reads the ids from the waiting messages, asks the registry for them, and starts
the query again. The new plan has one more schema, or one more id whose messages are dead letters.

A new start counts the events since the last commit again, so broken messages must not cause many. Registries number
schemas upwards. An id far above all ids of the plan is no new schema but garbage: its message is a dead letter at once.
"""

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from common.reasons import UNKNOWN_SCHEMA_ID
from streaming.events.unknown_ids import schema_id

# A foreign producer may write any number. After this many ids, messages with further ones are dead letters without a
# question to the registry.
MOST_REFUSED = 20
# While a query runs, a registry gets fewer new schemas. Of random ids, one in four thousand is so small.
_MOST_NEW = 1_000_000
_SAYS = "adstream does not plan for schema id "


def largest_new(planned: Collection[int]) -> int:
    """Return the largest id that a registry may have given since the plan with the ids `planned` was made."""
    return max(planned, default=0) + _MOST_NEW


def refuse_unplanned(judged: DataFrame, refused: Collection[int], planned: Collection[int]) -> DataFrame:
    """Return the judged messages, with an error at an unknown id that may be new and is not one of the `refused`.

    The error is for the log. The driver often gets the error of another task, which waits for the failing one.
    """
    outcome, found = F.col("outcome"), schema_id(F.col("value"))
    asked_for = found.isin(sorted(refused)) if refused else F.lit(False)
    new = (outcome == UNKNOWN_SCHEMA_ID) & ~asked_for & (found <= largest_new(planned))
    told = F.concat(F.lit(_SAYS), found.cast("string"), F.lit("."))
    return judged.withColumn("outcome", F.when(new, F.raise_error(told).cast("string")).otherwise(outcome))
