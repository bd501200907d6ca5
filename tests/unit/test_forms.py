"""Valid times and numbers, and refused ones: options, CSV and plain-Python JSON follow the same rules."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.text.durations import parse_duration
from common.text.moments import iso_date, iso_utc, parse_moment, to_millis
from common.text.numbers import decimal_number, whole_number
from producer.timeline import parse_start
from tests import forms

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "millis"), forms.TIMES.items())
def test_a_documented_time_has_its_value(text: str, millis: int) -> None:
    assert to_millis(iso_utc(text)) == millis
    assert parse_moment("--since", text, NOW) == iso_utc(text)


@pytest.mark.parametrize("text", forms.NO_TIMES, ids=forms.named)
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        iso_utc(text)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-18 * 60, 18 * 60))  # noqa: DTZ001
def test_every_time_is_read_as_it_was_written(naive: datetime, offset: int) -> None:
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    assert iso_utc(f"{naive.isoformat()}{zone}") == naive.replace(tzinfo=UTC) - timedelta(minutes=offset)
    assert to_millis(naive.replace(tzinfo=UTC)) == (naive - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001


@given(st.text("0123456789-:.TZ+W ,z", max_size=30))
def test_no_text_is_read_as_another_time(text: str) -> None:
    try:
        moment = iso_utc(text)
    except ValueError:
        return
    # The text must begin with the date that was read from it.
    assert text.startswith(f"{moment.replace(tzinfo=None).isoformat()[:10]}")


def test_dates_and_moments_of_options() -> None:
    assert iso_date("2025-02-21") == forms.DAY.date()
    for text in (
        "20250221",
        "2025-W08-5",
        "2025-052",
        "2025-2-21",
        "2025-02-30",
        "2025-02-21T12:00",
        "\u0662025-02-21",
    ):
        with pytest.raises(ValueError, match=r"is not a date like|day is out of range"):
            iso_date(text)
    assert parse_moment("--since", "2h", NOW) == NOW - timedelta(hours=2)
    for text in ("1740121600000", "20250221", "2025-W08-5"):
        with pytest.raises(ConfigError, match=f"--since {text} is not a time"):
            parse_moment("--since", text, NOW)


def test_durations_of_options() -> None:
    assert parse_duration("1.5 hours") == timedelta(minutes=90)
    for text in (
        "\u0663s",
        "1_0s",
        "1,5h",
        "+1s",
        "-1s",
        "1e3s",
        "",
        "s",
        "5",
        "5 weeks",
        "1.s",
        "9999999999d",
        f"{'9' * 400}d",
    ):
        with pytest.raises(ConfigError, match="duration"):
            parse_duration(text)
    for text in ("-9999999d", "1740121600000", "20250221", "-5", "yesterday"):
        with pytest.raises(ConfigError, match=text.lstrip("-")):
            parse_start(text, NOW)


@pytest.mark.parametrize(("text", "number"), forms.WHOLE.items())
def test_a_whole_number(text: str, number: int) -> None:
    assert whole_number(text) == number
    assert whole_number(f"-{text}") == -number


@pytest.mark.parametrize(("text", "number"), forms.DECIMAL.items())
def test_a_decimal_number(text: str, number: float) -> None:
    assert decimal_number(text) == number
    assert decimal_number(f"-{text}") == -number


NEGATIVE = {"-1", "-0", "-0.5"}
BEYOND_32_BITS, BEYOND_A_MILLION = {"2147483648"}, {"1000000.01", "1e7"}


@pytest.mark.parametrize("text", sorted({*forms.NOT_WHOLE} - {"-1", "-0"} - BEYOND_32_BITS), ids=forms.named)
def test_no_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        whole_number(text)


@pytest.mark.parametrize("text", sorted({*forms.NOT_DECIMAL} - NEGATIVE - BEYOND_A_MILLION), ids=forms.named)
def test_no_decimal_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number|has more digits than a double keeps"):
        decimal_number(text)


@given(st.text("0123456789.eE+-_ ,x\u0661", max_size=25))
def test_no_text_is_read_as_another_number(text: str) -> None:
    try:
        number = decimal_number(text)
    except ValueError:
        return
    assert Decimal(repr(number)) == Decimal(text)
    assert text.isascii()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_read_as_python_writes_it(number: float) -> None:
    assert decimal_number(repr(number)) == number
