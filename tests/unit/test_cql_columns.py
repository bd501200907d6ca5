"""Whole columns, encoded at once, compared with the driver's own encoding of each value."""

import struct
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from cassandra import cqltypes
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.sinks.cql_columns import encoded, encoded_value, encoded_values, joined, repeated, value_of

VERSION = 5
NOT_SET = struct.pack(">i", -2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
TIMES = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - `timezones`


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=20)


def by_driver(cql_type: Any, values: list[Any]) -> list[bytes]:
    """Return the protocol's `[value]` of each value: length and bytes, or "not set"."""
    serialized = [None if value is None else cql_type.serialize(value, VERSION) for value in values]
    return [NOT_SET if each is None else struct.pack(">i", len(each)) + each for each in serialized]


def decimal(unscaled: int, scale: int) -> Decimal:
    """Return an exact decimal, independent of the arithmetic's precision."""
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))


def check(column: pa.Array, cql_type: Any, expected: list[bytes]) -> None:
    assert encoded(column, cql_type, VERSION).to_pylist() == expected
    # A slice shares its buffers with the whole column, and begins within them.
    assert encoded(column.slice(1), cql_type, VERSION).to_pylist() == expected[1:]


@given(lists(st.text()))
@example([None])
@example(["", None, "é" * 100])
def test_text(values: list[str | None]) -> None:
    check(pa.array(values, pa.string()), cqltypes.UTF8Type, by_driver(cqltypes.UTF8Type, values))


@given(lists(INT64))
def test_bigint(values: list[int | None]) -> None:
    check(pa.array(values, pa.int64()), cqltypes.LongType, by_driver(cqltypes.LongType, values))


@given(lists(INT32))
def test_int_and_bigint_of_an_int(values: list[int | None]) -> None:
    column = pa.array(values, pa.int32())
    check(column, cqltypes.Int32Type, by_driver(cqltypes.Int32Type, values))
    check(column, cqltypes.LongType, by_driver(cqltypes.LongType, values))


@given(st.tuples(st.integers(0, 38), lists(st.integers(-(10**38) + 1, 10**38 - 1))))
@example((6, [0, -1, 1, 127, 128, -128, -129, 255, 256, 32_767, 32_768, -32_768, -32_769, 2**63 - 1, 2**63, -(2**63)]))
@example((0, [10**38 - 1, 1 - 10**38, 2**64, -(2**64), 2**120, -(2**120)]))
def test_decimal(drawn: tuple[int, list[int | None]]) -> None:
    scale, unscaled = drawn
    values = [None if each is None else decimal(each, scale) for each in unscaled]
    check(pa.array(values, pa.decimal128(38, scale)), cqltypes.DecimalType, by_driver(cqltypes.DecimalType, values))


@given(lists(TIMES))
@example([datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, 0, 1_999, tzinfo=UTC)])
@pytest.mark.parametrize("unit", ["us", "ns"])
def test_a_time_is_cut_to_milliseconds(unit: str, values: list[datetime | None]) -> None:
    expected = [
        NOT_SET if value is None else struct.pack(">iq", 8, (value - EPOCH) // timedelta(milliseconds=1))
        for value in values
    ]
    check(pa.array(values, pa.timestamp(unit, "UTC")), cqltypes.DateType, expected)


@given(lists(TIMES))
@example([datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), EPOCH])
def test_a_date_is_the_day_of_a_time(values: list[datetime | None]) -> None:
    days = [None if value is None else value.date() for value in values]
    expected = by_driver(cqltypes.SimpleDateType, days)
    check(pa.array(values, pa.timestamp("us", "UTC")), cqltypes.SimpleDateType, expected)


@given(lists(st.dates()))
def test_date(values: list[date | None]) -> None:
    check(pa.array(values, pa.date32()), cqltypes.SimpleDateType, by_driver(cqltypes.SimpleDateType, values))


@given(lists(st.booleans()))
def test_types_without_a_way_for_columns_are_encoded_value_by_value(values: list[bool | None]) -> None:
    check(pa.array(values, pa.bool_()), cqltypes.BooleanType, by_driver(cqltypes.BooleanType, values))


@given(lists(INT64))
def test_a_number_that_does_not_fit_its_column_is_refused(values: list[int | None]) -> None:
    column = pa.array([*values, 2**31], pa.int64())
    with pytest.raises(struct.error):
        encoded(column, cqltypes.Int32Type, VERSION)


def test_rows_are_their_values_one_after_the_other() -> None:
    names = encoded_values(["a", None, "é"], cqltypes.UTF8Type, VERSION)
    one = encoded_value(7, cqltypes.LongType, VERSION)
    seven = by_driver(cqltypes.LongType, [7])[0]
    expected = [b"start" + name + seven for name in by_driver(cqltypes.UTF8Type, ["a", None, "é"])]
    assert joined(b"start", [names, one]).to_pylist() == expected
    assert repeated(one, 2).to_pylist() == [seven, seven]
    assert repeated(names, 3) is names
    assert value_of(names[2]) == "é".encode()
    assert len(joined(b"start", [names.slice(3), one])) == 0


def test_a_program_that_knows_all_jobs_starts_without_pandas() -> None:
    asked = "import sys, streaming.jobs; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], timeout=60, check=False).returncode == 0
