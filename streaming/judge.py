"""Which events count, decided for each message by itself, before the watermark sees it.

Every string is UTF-8, of a length that a key may have, and not empty where the contract wants one; every number is
finite and within bounds; no event is far *ahead* of its record's arrival: the watermark follows the largest event time,
so a single event ten years ahead would close every open window. What a topic's events must hold besides stands in
`RULES`.

Nor is one from before 1970: a window around the first microsecond that Spark can tell, or a year that Python does not
have, would end the batch, each time it is tried.

A job with a `lateness` also decides here which event is late: one that is older than its own record's arrival by more
than that. Spark drops late rows by the watermark of the *previous* batch, so what it drops depends on where batches
begin; this is the same answer in every replay, and one that anybody can repeat from the topic.

Arrival is the broker's time, and the topic must use LogAppendTime, or a producer's clock decides; for a file it is the
time at which it was last modified. The same rules for one event, in plain Python: adstream.event_rules.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from adstream.contracts import Contract
from adstream.event_rules import AHEAD, LARGEST_NUMBER, LONGEST_STRING_BYTES
from adstream.reasons import UNKNOWN_SCHEMA_ID
from adstream.writers import MOST_ASKED
from streaming.unknown_ids import schema_id

LATE = "late"
MOST_REASONS = 256
_IDS_TRACKED = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _ad_rules(event: Column) -> dict[str, Column]:
    return {
        "clicks_negative": event["clicks"] < 0,
        "views_negative": event["views"] < 0,
        "cost_negative": event["cost"] < 0,
    }


# By the name of the record in the contract.
RULES: dict[str, Callable[[Column], dict[str, Column]]] = {"AdEvent": _ad_rules}


def judge(decoded: DataFrame, contract: Contract, *, lateness: timedelta | None = None) -> DataFrame:
    """Add `outcome` to decoded events: null for one that counts, `late`, or the reason why it is a dead letter.

    In: `event`, `problem` (streaming.decode) and `timestamp`, the arrival. `contract` is the reader's.
    """
    event, arrival = F.col("event"), F.col("timestamp")
    time = contract.time_field
    rules = dict(_rules(contract, event))
    if contract.schema["name"] in RULES:
        rules |= RULES[contract.schema["name"]](event)
    # In microseconds: Spark adds an interval to a timestamp by way of a calendar, for each message.
    event_micros, arrival_micros = F.unix_micros(event[time]), F.unix_micros(arrival)
    rules[f"{time}_ahead"] = event_micros > arrival_micros + F.lit(AHEAD // _MICROSECOND)
    if lateness is not None:
        rules[LATE] = event_micros < arrival_micros - F.lit(lateness // _MICROSECOND)
    rules[f"{time}_before_1970"] = event[time] < F.lit(_EPOCH)
    outcome = F.when(F.col("problem").isNotNull(), F.col("problem"))
    for reason, condition in rules.items():
        outcome = outcome.when(condition, F.lit(reason))
    return decoded.withColumn("outcome", outcome)


def counted(judged: DataFrame, *further: Column) -> DataFrame:
    """The events that count, flat: the contract's fields and `position` (topic:partition:offset, unique).

    On the way it counts, as the observed metric `judged`: all `messages`, `late`, `dead` (also `dead_by_reason`) and
    `unknown` (of a schema id that the plan does not know; `unknown_ids` has the most frequent of these), and the
    `further` aggregates. Spark pushes no condition below that, so the decode is not repeated for each part of the
    condition.
    """
    return (
        judged.observe("judged", *counts(), *further)
        .where(F.col("outcome").isNull())
        .select("event.*", F.concat_ws(":", "topic", "partition", "offset").alias("position"))
    )


def counts() -> list[Column]:
    """What is counted of a batch's judged messages."""
    # A sketch that is exact as long as there are not more different values, and there are a few reasons.
    reasons = ("approx_top_k", F.when(_is_dead(), F.col("outcome")), F.lit(MOST_REASONS), F.lit(MOST_REASONS))
    # One more, as all other messages are an item of their own: null.
    ids = ("approx_top_k", _unknown_id(), F.lit(MOST_ASKED + 1), F.lit(_IDS_TRACKED))
    return [
        F.count(F.lit(1)).alias("messages"),
        F.count_if(F.col("outcome") == LATE).alias("late"),
        F.count_if(_is_dead()).alias("dead"),
        F.count_if(F.col("outcome") == UNKNOWN_SCHEMA_ID).alias("unknown"),
        F.call_function(*reasons).alias("dead_by_reason"),
        F.call_function(*ids).alias("unknown_ids"),
    ]


def only_dead_letters(judged: DataFrame) -> DataFrame:
    """The judged messages that are neither counted nor late.

    Not by `where`: Spark would push the condition below the decode and repeat the decode for each of its parts, until
    the generated code is too large to compile.
    """
    return judged.select(F.inline(F.when(_is_dead(), F.array(F.struct("*")))))


def _unknown_id() -> Column:
    """The schema id of a message whose id the plan does not know, and null for all others."""
    return F.when(F.col("outcome") == UNKNOWN_SCHEMA_ID, schema_id(F.col("value")))


def _is_dead() -> Column:
    return F.col("outcome").isNotNull() & (F.col("outcome") != LATE)


def _rules(contract: Contract, event: Column) -> Iterator[tuple[str, Column]]:
    """Reason -> condition for each field by its type, in the order in which they are asked."""
    for field in contract.schema["fields"]:
        name, value = field["name"], event[field["name"]]
        if _holds(field["type"], "string"):
            yield f"{name}_not_utf8", ~F.is_valid_utf8(value)
            if field["type"] == "string":
                yield f"{name}_empty", F.trim(value) == ""
            yield f"{name}_too_long", F.octet_length(value) > LONGEST_STRING_BYTES
        if _holds(field["type"], "double") or _holds(field["type"], "float"):
            yield f"{name}_not_finite", F.isnan(value) | value.isin(float("inf"), float("-inf"))
            yield f"{name}_too_large", F.abs(value) > LARGEST_NUMBER


def _holds(avro_type: Any, plain: str) -> bool:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    return avro_type == plain or (isinstance(avro_type, list) and plain in avro_type)
