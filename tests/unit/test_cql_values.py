"""Our encoding of values against the driver's own, which must read the original values back."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from cassandra import cqltypes
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.sinks.cql_values import encoder

VERSION = 5


def encode(cql_type: Any, value: object) -> bytes:
    return encoder(cql_type, VERSION)(value)


@given(st.text())
def test_text(value: str) -> None:
    assert encode(cqltypes.UTF8Type, value) == cqltypes.UTF8Type.serialize(value, VERSION)


@given(st.integers(-(2**63), 2**63 - 1))
def test_bigint(value: int) -> None:
    assert encode(cqltypes.LongType, value) == cqltypes.LongType.serialize(value, VERSION)


@given(st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("-0.000001"))
@example(Decimal("-0.5"))
@example(Decimal("0E-6"))
@example(Decimal("1.50"))
@example(Decimal("1E+3"))
@example(Decimal("1234567890123456789.123456"))
def test_decimal(value: Decimal) -> None:
    encoded = encode(cqltypes.DecimalType, value)
    read = cqltypes.DecimalType.deserialize(encoded, VERSION)
    assert read == value
    if value and value.as_tuple().exponent <= 0:
        assert encoded == cqltypes.DecimalType.serialize(value, VERSION)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity")])
def test_a_decimal_that_is_no_number_is_refused(value: Decimal) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        encode(cqltypes.DecimalType, value)


@given(st.dates())
def test_date(value: date) -> None:
    assert encode(cqltypes.SimpleDateType, value) == cqltypes.SimpleDateType.serialize(value, VERSION)


@given(st.integers(-719_162, 2_932_896))
def test_a_date_by_its_days_since_1970(days: int) -> None:
    value = date(1970, 1, 1) + timedelta(days=days)
    assert encode(cqltypes.SimpleDateType, days) == cqltypes.SimpleDateType.serialize(value, VERSION)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_timestamp_by_its_milliseconds(milliseconds: int) -> None:
    assert int.from_bytes(encode(cqltypes.DateType, milliseconds), "big", signed=True) == milliseconds


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
@example(datetime(2026, 1, 1, 12, 0, 0, 1_999, tzinfo=UTC))
def test_timestamp_is_cut_to_milliseconds(value: datetime) -> None:
    milliseconds = int.from_bytes(encode(cqltypes.DateType, value), "big", signed=True)
    back = datetime(1970, 1, 1, tzinfo=UTC) + milliseconds * timedelta(milliseconds=1)
    assert timedelta(0) <= value - back < timedelta(milliseconds=1)


def test_a_timestamp_knows_its_zone() -> None:
    here = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert encode(cqltypes.DateType, here) == encode(cqltypes.DateType, here.astimezone(UTC))
    with pytest.raises(TypeError, match="naive"):
        encode(cqltypes.DateType, datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake that is tested


def test_other_types_are_left_to_the_driver() -> None:
    assert encode(cqltypes.BooleanType, True) == b"\x01"
