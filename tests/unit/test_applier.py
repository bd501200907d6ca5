"""The applying process says that rows are in the tables only after their write, and gives up after a while."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.errors import AdstreamError, ServiceUnavailable, SinkError
from streaming.apply.applier import Applier
from streaming.apply.target import Written
from streaming.apply.updates import Update

ROW = Update(b"k", 7, b"", ("rows", 0, 0))


class Topic:
    """Gives one row, and writes down what it is told."""

    away = ""

    def __init__(self, told: list[str]) -> None:
        self._told = told
        self._rows = [[ROW]]

    def updates(self) -> list[Update]:
        return self._rows.pop() if self._rows else []

    def applied(self) -> None:
        self._told.append("committed")

    def wait(self, seconds: float) -> None:
        self._told.append("waited")
        threading.Event().wait(seconds)

    def go_on(self) -> None:
        self._told.append("went on")


class Tables:
    """Fails with these errors first."""

    def __init__(self, told: list[str], *errors: AdstreamError) -> None:
        self._told = told
        self._errors = list(errors)

    def write(self, rows: list[Update]) -> Written:
        if self._errors:
            raise self._errors.pop(0)
        self._told.append(f"wrote {len(rows)}")
        return Written(rows=len(rows), newest_events=np.array([1_000]))


def run(*errors: AdstreamError, longest_away: float = 300.0, said: Callable[[str], None] = print) -> list[str]:
    told: list[str] = []
    topic: Any = Topic(told)
    tables: Any = Tables(told, *errors)
    applier = Applier(topic, tables, notice=said, longest_away=longest_away)
    try:
        applier.run(threading.Event(), told=lambda: None, until=lambda: True)
    except AdstreamError as error:
        told.append(error.problem)
    return told


def test_rows_are_written_before_their_offsets_are_committed() -> None:
    told = run()
    assert told.index("wrote 1") < told.index("committed")


@pytest.mark.parametrize("error", [SinkError("no such table"), ServiceUnavailable("away")])
def test_rows_that_were_not_written_are_not_committed(error: AdstreamError) -> None:
    told = run(error, longest_away=0.0)
    assert told == [f"{error.problem}; 1 rows are not in the tables yet, and come again at the next start"]


def test_while_cassandra_is_away_it_waits_and_commits_nothing() -> None:
    said: list[str] = []
    told = run(ServiceUnavailable("away"), longest_away=60.0, said=said.append)
    assert told.index("waited") < told.index("wrote 1") < told.index("committed")
    assert said == ["away; trying again, for 1 minutes at most", "all services answer again"]
