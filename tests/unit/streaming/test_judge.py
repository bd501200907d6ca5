"""Which events count: validation and lateness, row by row."""

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from common import contracts
from streaming.events.decode import decode
from streaming.events.judge import judge, only_dead_letters
from streaming.micro_batch.counting import counted
from tests.unit.streaming.wire_messages import NOW, V2, WRITERS, encoded, framed, kafka_rows

MILLISECOND = timedelta(milliseconds=1)

RULES: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"ad_id": ""}, "ad_id_empty"),
    ({"ad_id": "   "}, "ad_id_empty"),
    ({"ad_id": " ad"}, None),
    ({"ad_id": " !"}, None),
    ({"ad_id": "!"}, None),
    ({"ad_id": "\x00"}, None),
    ({"ad_id": "\t"}, None),
    ({"ad_id": "\u00a0"}, None),
    ({"ad_id": "x" * 512}, None),
    ({"ad_id": "x" * 513}, "ad_id_too_long"),
    ({"ad_id": "é" * 257}, "ad_id_too_long"),
    ({"event_id": "x" * 513}, "event_id_too_long"),
    ({"clicks": 0, "views": 0, "cost": 0.0}, None),
    ({"clicks": -1}, "clicks_negative"),
    ({"views": -1}, "views_negative"),
    ({"cost": -0.01}, "cost_negative"),
    ({"cost": float("nan")}, "cost_not_finite"),
    ({"cost": float("inf")}, "cost_not_finite"),
    ({"cost": float("-inf")}, "cost_not_finite"),
    ({"cost": 1e300}, "cost_too_large"),
    ({"cost": 1_000_000.0}, None),
    ({"cost": math.nextafter(1_000_000.0, math.inf)}, "cost_too_large"),
    ({"cost": -1e300}, "cost_too_large"),
    ({"cost": -0.0}, None),
    ({"timestamp": NOW - timedelta(minutes=10)}, None),
    ({"timestamp": NOW - timedelta(minutes=10) - MILLISECOND}, "late"),
    ({"timestamp": datetime(1970, 1, 1, tzinfo=NOW.tzinfo)}, "late"),
    ({"timestamp": NOW + timedelta(minutes=1)}, None),
    ({"timestamp": NOW + timedelta(minutes=1) + MILLISECOND}, "timestamp_ahead"),
    ({"timestamp": NOW + timedelta(days=3650)}, "timestamp_ahead"),
    ({"timestamp": NOW - timedelta(days=1), "clicks": -1}, "clicks_negative"),
]


def judged(spark: SparkSession, values: list[bytes], lateness: timedelta = timedelta(minutes=10)) -> DataFrame:
    return judge(decode(kafka_rows(spark, values), WRITERS, V2), V2, lateness=lateness)


def outcomes_of(spark: SparkSession, values: list[bytes]) -> list[str | None]:
    return [row["outcome"] for row in judged(spark, values).orderBy("offset").collect()]


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession) -> list[str | None]:
    return outcomes_of(spark, [encoded(V2, **changes) for changes, _ in RULES])


@pytest.mark.parametrize("number", range(len(RULES)), ids=[f"{changes}" for changes, _ in RULES])
def test_an_event_gets_the_outcome_of_the_first_rule_that_it_breaks(number: int, outcomes: list[str | None]) -> None:
    assert outcomes[number] == RULES[number][1]


def test_text_that_is_not_utf8_is_a_dead_letter(spark: SparkSession) -> None:
    good = encoded(V2, event_id="event")
    values = [good.replace(b"ad_1", b"a\xff_1"), good.replace(b"event", b"\xc3\x28ent")]
    assert outcomes_of(spark, values) == ["ad_id_not_utf8", "event_id_not_utf8"]


def test_a_lateness_of_ones_own_decides(spark: SparkSession) -> None:
    values = [encoded(V2, timestamp=NOW - timedelta(minutes=2))]
    assert judged(spark, values, timedelta(minutes=1)).collect()[0]["outcome"] == "late"
    assert judged(spark, values, timedelta(minutes=3)).collect()[0]["outcome"] is None


def test_a_job_without_a_lateness_calls_nothing_late(spark: SparkSession) -> None:
    decoded = decode(kafka_rows(spark, [encoded(V2, timestamp=NOW - timedelta(days=99))]), WRITERS, V2)
    assert judge(decoded, V2).collect()[0]["outcome"] is None


def test_a_time_before_1970_is_late_or_else_a_dead_letter(spark: SparkSession) -> None:
    first = datetime(1970, 1, 1, tzinfo=NOW.tzinfo)
    values = [encoded(V2, timestamp=time) for time in (first, first - MILLISECOND)]
    assert outcomes_of(spark, values) == ["late", "late"]
    rows = judge(decode(kafka_rows(spark, values), WRITERS, V2), V2).orderBy("offset").collect()
    assert [row["outcome"] for row in rows] == [None, "timestamp_before_1970"]


def test_only_dead_letters_keeps_the_message_whole_and_leaves_late_ones_out(spark: SparkSession) -> None:
    values = [encoded(V2), b"junk", encoded(V2, timestamp=NOW - timedelta(hours=1)), encoded(V2, views=-5)]
    dead = only_dead_letters(judged(spark, values)).orderBy("offset").collect()
    assert [(row["offset"], bytes(row["value"]), row["outcome"]) for row in dead] == [
        (1, values[1], "short"),
        (3, values[3], "views_negative"),
    ]


def test_only_events_that_count_go_on_so_that_no_other_moves_the_watermark(spark: SparkSession) -> None:
    values = [encoded(V2, timestamp=NOW + timedelta(days=3650)), encoded(V2, timestamp=NOW - timedelta(hours=2)), b""]
    rows = counted(judged(spark, [*values, encoded(V2, ad_id="good")])).collect()
    assert [(row["ad_id"], row["timestamp"].astimezone(NOW.tzinfo), row["position"]) for row in rows] == [
        ("good", NOW, "ads_data:0:3")
    ]


def test_numbers_strings_and_times_of_any_contract_are_judged_by_their_types(spark: SparkSession) -> None:
    [contract] = contracts.history("orders")
    good = {"order_id": "o-1", "amount": 12.5, "timestamp": NOW}
    changes: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"order_id": ""}, "order_id_empty"),
        ({"amount": float("nan")}, "amount_not_finite"),
        ({"amount": -1_000_000.5}, "amount_too_large"),
        ({"amount": -3.0}, None),
        ({"timestamp": NOW + timedelta(minutes=2)}, "timestamp_ahead"),
    ]
    values = [framed(contract, 3, {**good, **change}) for change, _ in changes]
    rows = judge(decode(kafka_rows(spark, values), {3: contract}, contract), contract).orderBy("offset").collect()
    assert [row["outcome"] for row in rows] == [outcome for _, outcome in changes]
