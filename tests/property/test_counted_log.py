"""Leader changes, power cuts and crashes in any order: a job stops exactly if messages that it has counted are gone.

The log is a model of a partition of Kafka, with the rules by which a leader keeps and answers epochs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from common.errors import CheckpointError
from common.kafka.log_cuts import Known
from streaming.query.counted_log import CountedLog, LeaderChanged


@dataclass
class Log:
    """A partition: its messages, and its epochs as (number, first offset)."""

    messages: list[int] = field(default_factory=list)
    epochs: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    sent: int = 0

    def produce(self, count: int) -> None:
        self.messages += range(self.sent, self.sent + count)
        self.sent += count

    def restart(self, lost: int = 0) -> None:
        """A new leader, after the loss of the newest messages. A leader that wrote nothing leaves no epoch behind."""
        del self.messages[max(0, len(self.messages) - lost) :]
        newest = self.epochs[-1][0]
        self.epochs = [each for each in self.epochs if each[1] < len(self.messages)]
        self.epochs.append((newest + 1, len(self.messages)))

    def end_of(self, epoch: int) -> int:
        return next((start for number, start in self.epochs if number > epoch), len(self.messages))

    def present(self) -> dict[int, int]:
        return {0: self.epochs[-1][0]}

    def ends(self) -> dict[int, Known]:
        return {0: Known(len(self.messages), self.epochs[-1][0])}

    def cuts(self, known: Mapping[int, Known]) -> dict[int, int]:
        ends = {partition: self.end_of(each.epoch) for partition, each in known.items()}
        return {partition: end for partition, end in ends.items() if end < known[partition].offset}


class Kept:
    """What outlives the driver: the checkpoint, as far as CountedLog needs it, and which messages were counted."""

    path = "here"

    def __init__(self) -> None:
        self.counted: list[int] = []
        self.text: str | None = None

    def next_offsets(self, _topic: str) -> dict[int, int]:
        return {0: len(self.counted)}

    def keep(self, _folder: str, text: str) -> None:
        self.text = text

    def kept(self, _folder: str) -> str | None:
        return self.text


class Driver:
    """A job with one partition. It stops with CheckpointError, as Topic.require_kept and CountedLog do."""

    def __init__(self, log: Log, kept: Any, *, real_time: bool) -> None:
        self.log, self.kept, self.real_time = log, kept, real_time
        self.watch = CountedLog("ads", kept, real_time=real_time, ends=log.ends, cuts=log.cuts)
        self.unchecked = False
        self.check()

    def check(self) -> None:
        if len(self.log.messages) < len(self.kept.counted):
            raise CheckpointError("the topic ends before")
        self.watch.check()
        self.unchecked = False
        assert self.log.messages[: len(self.kept.counted)] == self.kept.counted, "messages are skipped in silence"

    def batch(self, meanwhile: Callable[[], None], *, answers: bool = True) -> None:
        """Read all there is while something happens, and commit it. Kafka may not answer after the commit."""
        if len(self.log.messages) < len(self.kept.counted):
            raise CheckpointError("Spark finds the topic shorter")
        read = self.log.messages[len(self.kept.counted) :]
        self.watch.look()
        meanwhile()
        if self.real_time:
            # What comes meanwhile belongs to the same batch.
            read += self.log.messages[len(self.kept.counted) + len(read) :]
            self.kept.counted += read
            self.unchecked = True
            if answers:
                self.check()
            return
        try:
            self.watch.require_same_leaders()
        except LeaderChanged:
            event("a leader changed in a batch")
            self.check()
        else:
            self.kept.counted += read


COUNTS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("produce"), COUNTS),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("cut"), COUNTS),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("batch"), st.just(0)),
    st.tuples(st.just("batch without an answer"), st.just(0)),
    st.tuples(st.just("batch with a restart"), COUNTS),
    st.tuples(st.just("batch with a cut"), COUNTS),
)


def take(step: str, count: int, driver: Driver) -> Driver:
    """Take one step; returns the driver that runs afterwards."""
    log = driver.log

    def disturbed() -> None:
        log.restart(count if step == "batch with a cut" else 0)
        log.produce(2)

    if step == "produce":
        log.produce(count)
    elif step in ("restart", "cut"):
        log.restart(count)
    elif step == "crash":
        if driver.unchecked:  # nobody remembers what this driver has seen (decision 43)
            driver.check()
        return Driver(log, driver.kept, real_time=driver.real_time)
    else:
        quiet = step in ("batch", "batch without an answer")
        driver.batch((lambda: None) if quiet else disturbed, answers=step != "batch without an answer")
    return driver


@pytest.mark.parametrize("real_time", [False, True], ids=["micro-batch", "real time"])
@settings(max_examples=500)
@given(steps=st.lists(STEPS, max_size=25))
def test_a_job_stops_exactly_if_counted_messages_are_gone(real_time: bool, steps: list[tuple[str, int]]) -> None:
    log, kept = Log(), Kept()
    driver = Driver(log, kept, real_time=real_time)
    for step, count in steps:
        try:
            driver = take(step, count, driver)
        except CheckpointError:
            event("refused")
            assert log.messages[: len(kept.counted)] != kept.counted, "nothing that was counted is gone"
            return
