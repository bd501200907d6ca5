"""One message, one line: strict JSON, and text that cannot control a terminal."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.decoding import Broken, Decoded
from consumer.display import as_json, as_text, strict


class Message:
    """The part of a message that the display reads. Only librdkafka can make the real class."""

    millis = 1_735_689_600_123

    def __init__(self, key: bytes | None = b"ad-1", value: bytes | None = b"\x00\x01", **headers: bytes) -> None:
        self._key, self._value, self._headers = key, value, list(headers.items())

    def topic(self) -> str:
        return "ads_data"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 45

    def timestamp(self) -> tuple[int, int]:
        return 2, self.millis

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers or None


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} is not JSON")


def strictly(line: str) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(line, parse_constant=refuse)
    return parsed


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_whatever_the_value_the_line_is_strict_json(value: object) -> None:
    line = as_json(Message(), Decoded(3, value))  # type: ignore[arg-type]
    assert "\n" not in line
    assert strictly(line)["schema_id"] == 3


def test_what_json_has_no_word_for() -> None:
    values = [
        math.nan,
        math.inf,
        -math.inf,
        b"\xff",
        datetime(2025, 1, 1, tzinfo=UTC),
        date(2025, 1, 2),
        Decimal("1.10"),
    ]
    assert strict(values) == [
        "NaN", "Infinity", "-Infinity", {"hex": "ff"}, "2025-01-01T00:00:00.000Z", "2025-01-02", "1.10",
    ]  # fmt: skip


def test_a_good_message_in_json() -> None:
    assert strictly(as_json(Message(), Decoded(3, {"cost": 0.5}))) == {  # type: ignore[arg-type]
        "topic": "ads_data",
        "partition": 1,
        "offset": 45,
        "timestamp": "2025-01-01T00:00:00.123Z",
        "key": "ad-1",
        "schema_id": 3,
        "value": {"cost": 0.5},
    }


def test_a_broken_message_in_json_keeps_all_its_bytes() -> None:
    line = strictly(as_json(Message(key=b"\xff", value=b"\x01" * 500), Broken("why")))  # type: ignore[arg-type]
    assert line["broken"] == "why"
    assert line["bytes"] == "01" * 500
    assert line["key"] == {"hex": "ff"}
    assert "value" not in line


def test_a_broken_message_as_text_is_shortened() -> None:
    line = as_text(Message(value=b"\x01" * 500), Broken("why", 4), shown_bytes=3)  # type: ignore[arg-type]
    assert line.endswith("schema=4 BROKEN why; 500 bytes: 01 01 01 …")


@pytest.mark.parametrize("millis", [1_735_689_600_123_456, 2**63 - 1])
def test_a_record_s_time_outside_of_the_calendar_is_shown_as_its_number(millis: int) -> None:
    message = Message()
    message.millis = millis
    assert strictly(as_json(message, Decoded(3, {})))["timestamp"] == str(millis)  # type: ignore[arg-type]
    assert f"@45 {millis} key=ad-1" in as_text(message, Decoded(3, {}))  # type: ignore[arg-type]


def test_headers_are_shown() -> None:
    message = Message(reason=b"truncated")
    assert strictly(as_json(message, Broken("why")))["headers"] == {"reason": "truncated"}  # type: ignore[arg-type]
    assert 'headers={"reason": "truncated"}' in as_text(message, Broken("why"))  # type: ignore[arg-type]


def test_text_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\n\u009b\u202e"
    line = as_text(Message(key=evil.encode()), Decoded(3, {"ad_id": evil}))  # type: ignore[arg-type]
    assert line.isprintable()
