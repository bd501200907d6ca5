"""Decide which events count, for each message by itself, before the watermark sees it.

Every string is UTF-8, within the length of a key, and not empty if the contract requires it. Every number is finite and
within bounds. No event is far *ahead* of its record's arrival. The watermark follows the largest event time, so a
single event ten years ahead would close every open window. `RULES` has further rules for a topic's events.

No event is from before 1970. A window around Spark's first microsecond, or a year that Python does not have, would fail
the batch at each attempt.

A job with a `lateness` also decides here which events are late: older than their own record's arrival by more than the
lateness. Spark drops late rows by the watermark of the *previous* batch, so the result depends on the borders of
batches. This decision is the same in every replay, and anybody can repeat it from the topic.

Arrival is the broker's time. The topic must use LogAppendTime, or a producer's clock decides. For a file, arrival is
the time of its last modification. The same rules for one event, in plain Python: common.event_rules.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from common.contracts import Contract
from common.event_rules import AHEAD, LARGEST_NUMBER, LONGEST_STRING_BYTES

LATE = "late"
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
    """Add `outcome` to decoded events: null for an event that counts, `late`, or a dead letter's reason.

    In: `event`, `problem` (streaming.events.decode) and `timestamp`, the arrival. `contract` is the reader's.
    """
    event, arrival = F.col("event"), F.col("timestamp")
    time = contract.time_field
    rules = dict(_rules(contract, event))
    if contract.schema["name"] in RULES:
        rules |= RULES[contract.schema["name"]](event)
    # In microseconds: Spark adds an interval to a timestamp through a calendar, for each message.
    event_micros, arrival_micros = F.unix_micros(event[time]), F.unix_micros(arrival)
    rules[f"{time}_ahead"] = event_micros > arrival_micros + F.lit(AHEAD // _MICROSECOND)
    if lateness is not None:
        rules[LATE] = event_micros < arrival_micros - F.lit(lateness // _MICROSECOND)
    rules[f"{time}_before_1970"] = event[time] < F.lit(_EPOCH)
    outcome = F.when(F.col("problem").isNotNull(), F.col("problem"))
    for reason, condition in rules.items():
        outcome = outcome.when(condition, F.lit(reason))
    return decoded.withColumn("outcome", outcome)


def only_dead_letters(judged: DataFrame) -> DataFrame:
    """Return the judged messages that are neither counted nor late.

    This does not use `where`. Spark would push the condition below the decode and repeat the decode for each of its
    parts. The generated code would then be too large to compile.
    """
    return judged.select(F.inline(F.when(is_dead(F.col("outcome")), F.array(F.struct("*")))))


def is_dead(outcome: Column) -> Column:
    """Return whether a message of that outcome is a dead letter."""
    return outcome.isNotNull() & (outcome != LATE)


def _rules(contract: Contract, event: Column) -> Iterator[tuple[str, Column]]:
    """Return reason -> condition for each field by its type, in the order of checking."""
    for field in contract.schema["fields"]:
        name, value = field["name"], event[field["name"]]
        if _holds(field["type"], "string"):
            yield f"{name}_not_utf8", ~F.is_valid_utf8(value)
            if field["type"] == "string":
                # A text that begins above a space is not empty, even without trimming it.
                yield f"{name}_empty", (value < "!") & (F.trim(value) == "")
            yield f"{name}_too_long", F.octet_length(value) > LONGEST_STRING_BYTES
        if _holds(field["type"], "double") or _holds(field["type"], "float"):
            # Spark sorts NaN above all numbers.
            too_large = F.abs(value) > LARGEST_NUMBER
            yield f"{name}_not_finite", too_large & (F.isnan(value) | value.isin(float("inf"), float("-inf")))
            yield f"{name}_too_large", too_large


def _holds(avro_type: Any, plain: str) -> bool:  # noqa: ANN401 - Avro types are JSON: str, list or dict
    return avro_type == plain or (isinstance(avro_type, list) and plain in avro_type)
