"""Times without a zone are UTC, wherever the machine is, and milliseconds are exact."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from common.text.moments import from_millis, iso_utc, parse_moment, to_millis

NOON = datetime(2025, 2, 21, 12, tzinfo=UTC)


@pytest.fixture(params=["Asia/Kolkata", "America/St_Johns"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        assert time.localtime(NOON.timestamp()).tm_hour != NOON.hour
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_time_without_a_zone_is_utc_wherever_the_machine_is() -> None:
    assert iso_utc("2025-02-21T12:00:00") == iso_utc("2025-02-21T12:00:00Z") == NOON
    assert iso_utc("2025-02-21") == datetime(2025, 2, 21, tzinfo=UTC)
    assert to_millis(iso_utc("2025-02-21 12:00")) == 1_740_139_200_000
    assert parse_moment("--from", "2025-02-21T12:00:00", NOON) == NOON
    assert parse_moment("--from", "2h", NOON) == datetime(2025, 2, 21, 10, tzinfo=UTC)


# As a double of seconds each of these is a little less.
@pytest.mark.parametrize("millis", [547_309_739_762, 548_360_436_407, 2_187_828_140_950, 2_189_134_742_207, -1])
def test_milliseconds_are_exact_and_rounded_down(millis: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    assert to_millis(moment) == to_millis(moment + timedelta(microseconds=999)) == millis
    assert to_millis(iso_utc(moment.isoformat())) == millis
    assert from_millis(millis) == moment


def test_milliseconds_outside_of_the_calendar_are_no_moment() -> None:
    last, first = 253_402_300_799_999, -62_135_596_800_000
    assert from_millis(last) == datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    assert from_millis(first) == datetime(1, 1, 1, tzinfo=UTC)
    # Microseconds of 2025, and the largest and smallest times that Kafka can store.
    for outside in (last + 1, first - 1, 1_735_689_600_123_456, 2**63 - 1, -(2**63)):
        assert from_millis(outside) is None
