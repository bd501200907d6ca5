"""The oracle's judge, where its decoder is more lenient than Avro."""

from datetime import timedelta

from adstream.verify.judge import Judge
from tests.unit.streaming.wire_messages import ID_V2, NOW, V2, encoded

ARRIVAL = int(NOW.timestamp() * 1_000)


def outcome(value: bytes) -> str:
    return Judge({ID_V2: V2.schema}, timedelta(minutes=10)).judge(0, 0, ARRIVAL, value).outcome


def test_a_union_branch_of_minus_one_is_not_the_last_branch() -> None:
    good = encoded(V2, event_id="e-1")
    branch = b"\x02\x06e-1"
    assert good.endswith(branch)
    assert outcome(good) == "counted"
    assert outcome(good[: -len(branch)] + b"\x01\x06e-1") == "dead"
