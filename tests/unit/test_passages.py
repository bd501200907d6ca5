"""The offsets that an archive has read, put together from the notes of its runs."""

import pytest

from common.errors import BadInput
from streaming.history.passages import Passage, joined


def test_passages_that_follow_on_each_other_are_one() -> None:
    first, second = {0: Passage(5, 20, 10), 1: Passage(0, 3, 3)}, {0: Passage(20, 22, 0)}
    assert joined([first, {}, second]) == {0: Passage(5, 22, 10), 1: Passage(0, 3, 3)}


@pytest.mark.parametrize("begin", [19, 21])
def test_a_note_that_is_missing_or_there_twice_is_refused(begin: int) -> None:
    with pytest.raises(BadInput, match=f"partition 0 end at 20 and go on at {begin}"):
        joined([{0: Passage(5, 20, 15)}, {0: Passage(begin, 30, 1)}])
