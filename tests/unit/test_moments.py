"""Times without a zone are UTC, wherever the machine is, and milliseconds are exact."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from common.text.moments import iso_utc, parse_moment, to_millis

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
