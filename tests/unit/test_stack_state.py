"""The record of a running stack, and its readers."""

from pathlib import Path

import pytest

from common.errors import StackError
from common.own_stack import STACK_FILE
from common.settings import Settings
from stack import state
from stack.host.machine import gigabytes, require_room
from stack.host.properties import properties
from stack.starting import last_words
from stack.state import Entry, State

WRITTEN = State(
    addresses={
        "kafka": {"bootstrap_servers": "127.0.0.1:20001"},
        "registry": {"url": "http://127.0.0.1:20002/apis/ccompat/v7"},
        "cassandra": {"hosts": ["127.0.0.1"], "port": 20003},
    },
    services={"kafka": Entry(4711, 1_767_225_600.25, {"kafka": 20001, "kafka-controller": 20004}, "/logs/kafka.log")},
    ports={"kafka": 20001, "kafka-controller": 20004},
)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert state.read(tmp_path) == State()
    state.write(tmp_path, WRITTEN)
    assert state.read(tmp_path) == WRITTEN
    assert [path.name for path in tmp_path.iterdir()] == [STACK_FILE]


def test_the_settings_find_the_running_stack_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write(tmp_path, WRITTEN)
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    found = Settings()
    assert found.kafka.bootstrap_servers == "127.0.0.1:20001"
    assert found.registry.url == "http://127.0.0.1:20002/apis/ccompat/v7"
    assert (found.cassandra.hosts, found.cassandra.port) == (("127.0.0.1",), 20003)
    monkeypatch.setenv("ADSTREAM_KAFKA_BOOTSTRAP_SERVERS", "broker.example:9093")
    assert Settings().kafka.bootstrap_servers == "broker.example:9093"


@pytest.mark.parametrize("content", ["", "[]", '{"services": {"kafka": {"pid": 1}}}'])
def test_a_file_that_cannot_be_understood_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / STACK_FILE).write_text(content)
    with pytest.raises(StackError, match=r"stack\.json cannot be read: .*; stop the services named in it"):
        state.read(tmp_path)


def test_the_telling_line_of_a_log_is_found(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("INFO up\nERROR Exiting due to fatal exception\n\tat kafka.Kafka.main\nINFO shutting down\n")
    assert last_words(log) == "ERROR Exiting due to fatal exception"
    log.write_text("one\ntwo\n\n")
    assert last_words(log) == "two"
    log.write_text("")
    assert last_words(log) == "it said nothing"


def test_a_path_of_any_letters_survives_a_java_properties_file() -> None:
    assert properties({"dir": "/home/josé\\😀 x"}) == "dir=/home/jos\\u00e9\\u005c\\ud83d\\ude00 x\n"


def test_too_little_memory_or_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require = lambda: require_room(tmp_path / "data", tmp_path / "cache")  # noqa: E731
    require()
    monkeypatch.setattr("stack.host.machine.DISK_NEEDED", 2**60)
    with pytest.raises(StackError, match=rf"of disk are free at {tmp_path}/data, and .* are needed; free some"):
        require()
    monkeypatch.setattr("stack.host.machine.MEMORY_NEEDED", 2**60)
    with pytest.raises(StackError, match=rf"of memory are available, and {gigabytes(2**60)} are needed"):
        require()
