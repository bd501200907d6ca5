"""A real-time job that has stopped lets its rows reach the tables; a service that is away then makes it no failure."""

from typing import Any

import pytest

from common.errors import AdstreamError, ServiceUnavailable, TopicNotFound
from streaming.monitoring.listener import Listener
from streaming.real_time import runner
from streaming.real_time.runner import RealTimeRunner

AWAY = ServiceUnavailable("Kafka does not answer", "start it")
GONE = TopicNotFound("there is no topic rows", "make it")


class Topic:
    """The updates topic. It gives these answers, and the last one again and again."""

    topic = "rows"

    def __init__(self, *answers: AdstreamError | bool) -> None:
        self.answers = list(answers)
        self.noted = False

    def all_applied(self) -> bool:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, AdstreamError):
            raise answer
        return answer

    def note_applied(self) -> None:
        self.noted = True


def drained(topic: Topic, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Return what the job says while it waits for its rows, for so long at most."""
    monkeypatch.setattr(runner, "_DRAIN_SECONDS", seconds)
    monkeypatch.setattr(runner, "_DRAIN_POLL_SECONDS", 0.001)
    notices: list[str] = []
    made: Any = RealTimeRunner.__new__(RealTimeRunner)
    made._updates, made._applying = topic, None
    made._listener = Listener(batch=lambda _report: None, notice=notices.append)
    made._drain()
    return notices


@pytest.mark.parametrize("answers", [(True,), (False, AWAY, GONE, True)], ids=["at once", "after a while"])
def test_it_waits_until_all_rows_are_in_the_tables(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[AdstreamError | bool, ...]
) -> None:
    topic = Topic(*answers)
    assert drained(topic, monkeypatch, 60.0) == []
    assert topic.noted


@pytest.mark.parametrize("answer", [False, AWAY, GONE], ids=["they wait", "no answer", "no topic"])
def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, answer: AdstreamError | bool) -> None:
    topic = Topic(answer)
    [said] = drained(topic, monkeypatch, 0.05)
    assert said == "some rows may have reached rows and not the tables; they follow when the job goes on"
    assert not topic.noted
