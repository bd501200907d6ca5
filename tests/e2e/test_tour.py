"""`adstream tour`, as somebody would see it who presses Enter at once."""

import re

import pytest

from adstream.settings import Settings
from adstream.tour import STEPS
from tests.e2e.commands import adstream, one_line


@pytest.mark.thorough
def test_the_tour_tells_its_story_and_ends_with_equal(stack: Settings) -> None:
    done = adstream("tour", "--no-wait", ADSTREAM_SPARK_UI="false", COLUMNS="160")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{STEPS}/{STEPS} " in done.stdout
    for said in (
        r"\$ adstream produce ads --count 1000",
        r"\$ adstream stream ad-metrics",
        r"000000  00 00 00 ",
        r"│ batch 0 · 1,\d{3} events",
        r"  25 events were late; a lateness of",
        r"error: .*-value: .*country",
        r"clicks_negative +\d+",
        r"  1 sent back, and marked",
        r"│ new schema version on tour-",
        r"\$ kill -9 \d+",
        r"  equal: [\d,]+ rows, [\d,]+ cells agree with the independent computation",
    ):
        assert re.search(said, done.stdout), f"{said} in {done.stdout}"
    assert "Traceback" not in done.stdout + done.stderr


def test_without_anybody_to_press_enter_it_says_so_and_starts_nothing() -> None:
    assert one_line(adstream("tour")) == "error: nobody is there to press Enter; give --no-wait"
