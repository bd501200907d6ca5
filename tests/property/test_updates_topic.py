"""Power cuts, new leaders and crashes in any order: no row of real-time mode is missing in the tables at the end.

The log is a model of a partition of the updates topic. Driver and applying process are models too, around the real
Updates: a query sends a row for each event, and the process reads rows as a client of Kafka does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from common.kafka.log_cuts import Known
from streaming.real_time.updates import APPLIED, Updates, UpdatesLost
from tests.property.test_counted_log import Log


@dataclass
class Broker:
    """The topic's only partition, and the commits of its group: the newest is last."""

    log: Log = field(default_factory=Log)
    commits: list[Known] = field(default_factory=list)
    replicas: int = 1

    def epoch_of(self, offset: int) -> int:
        return max(number for number, start in self.log.epochs if start <= offset)

    def there(self, known: Known) -> int:
        """Return up to where the log still has what was known."""
        return min(known.offset, self.log.end_of(known.epoch))

    # The questions of Updates.

    def topic_id(self) -> str:
        return "id"

    def copies(self) -> int:
        return self.replicas

    def leader_epochs(self) -> dict[int, int]:
        return self.log.present()

    def ends(self) -> dict[int, int]:
        return {0: len(self.log.messages)}

    def upto(self, _partitions: Iterable[int], _topic_id: str) -> Mapping[int, int]:
        return {0: self.there(self.commits[-1])} if self.commits else {}


class Kept:
    """What outlives the driver: the events that each committed batch has counted, and the notes beside them."""

    def __init__(self, tables: set[int]) -> None:
        self.tables = tables
        self.batches: list[int] = []
        self.notes: dict[str, int] = {}
        self.text: str | None = None

    def kept(self, _folder: str) -> str | None:
        return self.text

    def keep(self, _folder: str, text: str) -> None:
        self.text = text

    def marked(self, folder: str) -> int | None:
        return self.notes.get(folder)

    def mark(self, folder: str, batch_id: int) -> None:
        self.notes[folder] = batch_id
        if folder == APPLIED:
            assert set(range(self.batches[batch_id])) <= self.tables, "a batch is noted, and rows of it are missing"

    def committed_after(self, batch_id: int) -> list[int]:
        return list(range(batch_id + 1, len(self.batches)))

    def back_to(self, batch_id: int) -> None:
        del self.batches[batch_id + 1 :]

    def counted(self) -> int:
        return self.batches[-1] if self.batches else 0


class Process:
    """An applying process: it begins where its group has committed, as far as the log still has that."""

    def __init__(self, broker: Broker, tables: set[int]) -> None:
        self.broker, self.tables = broker, tables
        commit = broker.commits[-1] if broker.commits else Known(0, 0)
        self.at = Known(broker.there(commit), commit.epoch)

    def read(self, most: int) -> None:
        begin = self.broker.there(self.at)  # the client compares when the leader is another one
        rows = self.broker.log.messages[begin : begin + most]
        self.tables.update(rows)
        end = begin + len(rows)
        self.at = Known(end, self.broker.epoch_of(end - 1) if rows else self.at.epoch)

    def commit(self) -> None:
        self.broker.commits.append(self.at)


class Driver:
    """A real-time query, from its checkpoint on. Events are numbers, and so are their rows."""

    def __init__(self, broker: Broker, kept: Any) -> None:
        self.broker, self.kept = broker, kept
        self.begin()

    def begin(self) -> None:
        applied: Any = self.broker
        self.updates = Updates("updates", applied, self.kept, create=lambda: None, notice=event)
        self.updates.open()
        self.next = self.kept.counted()

    def count(self, events: int) -> None:
        self.broker.log.messages += range(self.next, self.next + events)
        self.next += events

    def commit(self) -> None:
        self.kept.batches.append(self.next)
        self.updates.committed(len(self.kept.batches) - 1)

    def poll(self) -> None:
        try:
            self.updates.note_applied()
        except UpdatesLost:
            event("rows may be gone while the query runs")
            self.begin()


class World:
    """All of it, and the steps that a test takes."""

    def __init__(self) -> None:
        self.tables: set[int] = set()
        self.broker = Broker()
        self.driver = Driver(self.broker, Kept(self.tables))
        self.process = Process(self.broker, self.tables)
        self.events = 0

    def take(self, step: str, count: int) -> None:
        if step == "count":
            self.driver.count(count)
            self.events = max(self.events, self.driver.next)
        elif step == "commit a batch":
            self.driver.commit()
        elif step == "poll":
            self.driver.poll()
        elif step == "driver crashes":
            self.driver = Driver(self.broker, self.driver.kept)
        elif step == "apply":
            self.process.read(count)
        elif step == "commit offsets":
            self.process.commit()
        elif step == "process crashes":
            self.process = Process(self.broker, self.tables)
        else:
            self.broker.log.restart(0 if step == "new leader" else count)
            if step == "power cut, of commits too":
                del self.broker.commits[max(0, len(self.broker.commits) - count) :]

    def settle(self) -> None:
        """Nothing fails any more."""
        self.driver.poll()
        self.driver.count(self.events - self.driver.next)
        self.driver.commit()
        self.process.read(len(self.broker.log.messages))
        self.process.commit()
        self.driver.poll()


STEPS = (
    "count", "commit a batch", "poll", "driver crashes", "apply", "commit offsets", "process crashes", "new leader",
    "power cut", "power cut, of commits too",
)  # fmt: skip


@settings(max_examples=1_000)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4)), max_size=40))
def test_all_rows_of_all_counted_events_are_in_the_tables_at_the_end(steps: list[tuple[str, int]]) -> None:
    world = World()
    for step, count in steps:
        world.take(step, count)
    world.settle()
    assert world.tables >= set(range(world.events))
    assert world.driver.kept.marked(APPLIED) == len(world.driver.kept.batches) - 1


@given(replicas=st.integers(1, 3), events=st.integers(1, 4))
def test_a_query_goes_on_with_a_new_leader_where_two_replicas_acknowledge_a_row(replicas: int, events: int) -> None:
    broker, kept = Broker(replicas=replicas), Kept(set())
    driver = Driver(broker, kept)
    driver.count(events)
    driver.commit()
    broker.log.restart(0)
    driver.poll()
    assert kept.batches == ([] if replicas == 1 else [events])
    broker.log.restart(0)
    Driver(broker, kept)
    assert kept.batches == ([] if replicas == 1 else [events])
