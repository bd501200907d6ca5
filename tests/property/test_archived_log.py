"""Leader changes, power cuts and killed runs in any order: no run archives on exactly if archived messages are gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from common.errors import BadInput
from common.kafka.log_cuts import NO_EPOCH, Known
from streaming.history.archived_log import require_kept
from tests.property.test_counted_log import Log


@dataclass
class Archive:
    """An archive of the log's only partition, with the notes beside it."""

    log: Log = field(default_factory=Log)
    messages: list[int] = field(default_factory=list)
    path = "here"
    text: str | None = None
    # A run has read while messages were lost, so nobody knows whether it has the lost ones.
    doubtful = False

    def kept(self, _folder: str) -> str | None:
        return self.text

    def keep(self, _folder: str, text: str) -> None:
        self.text = text

    def cuts(self, known: Mapping[int, Known]) -> dict[int, int]:
        return self.log.cuts({each: at for each, at in known.items() if at.epoch != NO_EPOCH})

    def run(self, *, most: int = 100, lost: int = 0) -> None:
        """Archive at most so many new messages. Meanwhile some are lost, and others come."""
        note: Any = self
        log = self.log.ends()
        if lost:
            self.doubtful = True
            self.log.restart(lost)
            self.log.produce(3)
        require_kept(note, "ads", {0: len(self.messages)}, log, self.cuts)
        assert lost or self.log.messages[: len(self.messages)] == self.messages, "lost messages are not noticed"
        self.messages += self.log.messages[len(self.messages) : min(log[0].offset, len(self.messages) + most)]


COUNTS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("produce"), COUNTS),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("cut"), COUNTS),
    st.tuples(st.just("run"), st.just(0)),
    st.tuples(st.just("killed run"), COUNTS),
    st.tuples(st.just("run with a cut"), COUNTS),
)


def take(step: str, count: int, archive: Archive) -> None:
    if step == "produce":
        archive.log.produce(count)
    elif step in ("restart", "cut"):
        archive.log.restart(count)
    elif step == "killed run":
        archive.run(most=count)
    else:
        archive.run(lost=count)


@settings(max_examples=500)
@given(steps=st.lists(STEPS, max_size=25))
def test_an_archive_ends_exactly_if_archived_messages_are_gone(steps: list[tuple[str, int]]) -> None:
    archive = Archive()
    for step, count in steps:
        try:
            take(step, count, archive)
        except BadInput:
            event("refused")
            gone = archive.log.messages[: len(archive.messages)] != archive.messages
            assert gone or archive.doubtful, "nothing that was archived is gone"
            return


def test_an_archive_of_an_earlier_release_ends_if_the_topic_is_shorter_and_has_epochs_from_then_on() -> None:
    archive = Archive(Log(list(range(5)), sent=5), list(range(5)))
    archive.log.restart(1)
    with pytest.raises(BadInput, match=r"here has archived ads, partition 0, up to offset 5, .* from offset 4 on"):
        archive.run()
    archive.messages.pop()
    archive.run()
    archive.log.restart(1)
    archive.log.produce(2)
    with pytest.raises(BadInput, match="up to offset 4, and Kafka has lost these messages from offset 3 on"):
        archive.run()
