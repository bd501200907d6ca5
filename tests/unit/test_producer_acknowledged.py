"""The producer soon records acknowledged messages. If it cannot, it says so before it sends anything."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.errors import BadInput, ConfigError, DeliveryFailed
from producer.acknowledged import Acknowledged
from producer.events import find
from producer.options import check


class Message:
    def topic(self) -> str:
        return "ads"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 42

    def value(self) -> bytes | None:
        return b"123456789"


LINE = "ads 1 42 cbf43926\n"  # CRC-32's check value
MESSAGE: Any = Message()


def test_a_line_per_message_is_appended_at_the_latest_after_a_second_or_a_thousand(tmp_path: Path) -> None:
    file, now = tmp_path / "acked", [0.0]
    file.write_text(LINE)
    with closing(Acknowledged(file, clock=lambda: now[0])) as book:
        book.add(MESSAGE)
        assert file.read_text() == LINE
        now[0] = 1.0
        book.add(MESSAGE)
        assert file.read_text() == LINE * 3
        for _ in range(1_001):
            book.add(MESSAGE)
        assert file.read_text() == LINE * 1_003
    assert file.read_text() == LINE * 1_004


def test_a_file_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        Acknowledged(tmp_path)


FULL = Path("/dev/full")
NO_ROOM = r"^/dev/full cannot be written: No space left on device; make room and name a new file"


def test_a_full_disk_is_told_once_and_the_file_takes_no_more() -> None:
    with Acknowledged(FULL, clock=lambda: 0.0) as book:
        for _ in range(999):
            book.add(MESSAGE)
        with pytest.raises(BadInput, match=NO_ROOM):
            book.add(MESSAGE)
        for _ in range(2_000):
            book.add(MESSAGE)


def test_the_last_lines_of_a_run_must_have_room_too() -> None:
    with pytest.raises(BadInput, match=NO_ROOM), Acknowledged(FULL) as book:
        book.add(MESSAGE)


def test_the_error_that_ends_a_run_is_shown_before_that_of_the_file() -> None:
    def failing() -> None:
        with Acknowledged(FULL) as book:
            book.add(MESSAGE)
            raise DeliveryFailed("no broker answers", "start one")

    with pytest.raises(DeliveryFailed):
        failing()


def test_files_are_not_acknowledged_by_anybody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--acknowledged has no meaning with --files"):
        check(find("ads"), {"files": tmp_path, "acknowledged": tmp_path / "acked"})
