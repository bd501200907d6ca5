"""An upgraded node reads the data that it wrote with the settings of an earlier release."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cassandra.cluster import Session

from common.cassandra.session import connect
from common.settings import Settings
from stack import cassandra, local, parts, state
from stack.security import secured
from stack.service import Place
from stack.starting import Start

# The earlier settings in stack/cassandra.yaml.
EARLIER = """
memtable: {configurations: {default: {class_name: SkipListMemtable}}}
memtable_allocation_type: heap_buffers
memtable_offheap_space: 64MiB
sstable: {selected_format: big}
unlogged_batch_across_partitions_warn_threshold: 10
"""
COUNT = 500


def earlier(place: Place) -> list[str]:
    command = cassandra.prepare(place)
    file = place.data / "cassandra.yaml"
    names = tuple(line.partition(":")[0] + ":" for line in EARLIER.split("\n") if line)
    kept, dropped = [], False
    for line in file.read_text(encoding="ascii").split("\n"):
        dropped = line.startswith(names) or (dropped and line.startswith(" "))
        if not dropped:
            kept.append(line)
    file.write_text("\n".join(kept) + EARLIER, encoding="ascii")
    return command


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path / "data"))
    settings = Settings()
    settings.stack.cassandra_port = 0
    yield settings
    local.down(settings)


def start(settings: Settings, prepare: Callable[[Place], list[str]]) -> None:
    """Start Cassandra alone, as `adstream up` does."""
    data = settings.data_dir.absolute()
    service = dataclasses.replace(cassandra.CASSANDRA, prepare=prepare)
    data.mkdir(exist_ok=True)
    starting = Start(settings, data, state.read(data), print, secured.find(data))
    starting.choose_ports((service,))
    starting.run((service,), parts.ensure(settings.stack))


def flushed(settings: Settings, format_name: str) -> list[Path]:
    """Wait until the test's table has SSTables of this format. Return them."""
    folder = settings.data_dir.absolute() / "cassandra" / "data" / "kept"
    deadline = time.monotonic() + 60
    while not (found := list(folder.glob(f"rows-*/*-{format_name}-Data.db"))):
        assert time.monotonic() < deadline, f"nothing was flushed as {format_name}"
        time.sleep(0.2)
    return found


def insert(session: Session, first: int) -> None:
    for number in range(first, first + COUNT):
        session.execute("INSERT INTO kept.rows (n, text) VALUES (%s, %s)", (number, f"text {number}"))


def numbers(session: Session) -> list[int]:
    rows = list(session.execute("SELECT n, text FROM kept.rows"))
    assert all(row.text == f"text {row.n}" for row in rows)
    return sorted(row.n for row in rows)


def test_a_node_goes_on_with_the_data_of_an_earlier_release_and_back(settings: Settings) -> None:
    start(settings, earlier)
    with connect(Settings().cassandra) as session:
        session.execute("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        session.execute("CREATE TABLE kept.rows (n int PRIMARY KEY, text text)")
        insert(session, 0)
        session.execute("ALTER TABLE kept.rows WITH memtable_flush_period_in_ms = 1000", timeout=30)
        flushed(settings, "big")
        session.execute("ALTER TABLE kept.rows WITH memtable_flush_period_in_ms = 0", timeout=30)
        # These rows are in the commit log alone. The new memtable replays them.
        insert(session, COUNT)
    local.down(settings)

    start(settings, cassandra.prepare)
    with connect(Settings().cassandra) as session:
        assert numbers(session) == list(range(2 * COUNT))
        insert(session, 2 * COUNT)
        session.execute("ALTER TABLE kept.rows WITH memtable_flush_period_in_ms = 1000", timeout=30)
        flushed(settings, "bti")
        assert numbers(session) == list(range(3 * COUNT))
    local.down(settings)

    start(settings, earlier)
    with connect(Settings().cassandra) as session:
        assert numbers(session) == list(range(3 * COUNT)), "the earlier release reads them, too"
