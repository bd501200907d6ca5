"""The services that the program uses.

Named addresses always win. Without them the program uses its own stack once a start was tried, and before that the
defaults.
"""

import os
from pathlib import Path

import psutil
import pytest

from adstream import cqlsh
from adstream.commands.stack import _settings
from common.cassandra.session import connect
from common.errors import ServiceUnavailable, StackError
from common.kafka import client_config, cluster_id, spark_options
from common.own_stack import STACK_FILE
from common.registry import RegistryClient
from common.settings import Settings
from stack import local, state
from stack.security import secured
from stack.state import Entry, State
from tests.e2e.commands import adstream, free_port, one_line

NAMED = {
    "ADSTREAM_KAFKA_BOOTSTRAP_SERVERS": "broker.example:1",
    "ADSTREAM_REGISTRY_URL": "http://u:canary@registry.example/x",
    "ADSTREAM_CASSANDRA_HOSTS": "node.example",
}
# Commands that change something in a service.
COMMANDS = (
    ("schema", "register"),
    ("migrate",),
    ("produce", "ads", "--count", "1"),
    ("stream", "ad-metrics", "--once"),
    ("cql", "SELECT * FROM ad_metrics"),
    ("cql",),
    ("reset", "ad-metrics", "--yes"),
    ("dead-letters", "replay", "--all", "--yes"),
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(folder))
    return folder


def entry(port: int, *, ended: bool = False) -> Entry:
    """Return the entry of this very process, or of an ended process with the same id."""
    created = psutil.Process().create_time()
    return Entry(os.getpid(), created - 1_000 * ended, {"any": port}, "log")


def running(*ended: str) -> State:
    services = ("kafka", "registry", "cassandra")
    return State(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:20001"},
            "registry": {"url": "http://127.0.0.1:20002/apis/ccompat/v7"},
            "cassandra": {"hosts": ["127.0.0.1"], "port": 20003},
        },
        {name: entry(port, ended=name in ended) for port, name in enumerate(services, 20001)},
    )


def origins() -> list[str]:
    settings = Settings()
    return [each.origin for each in (settings.kafka, settings.registry, settings.cassandra)]


def refuse_all() -> list[str]:
    """Use each client. Return the errors, which must come before any attempt to connect."""
    settings = Settings()
    lines = []
    for ask in (
        lambda: cluster_id(settings),
        lambda: client_config(settings.kafka),
        lambda: spark_options(settings.kafka),
        lambda: RegistryClient(settings.registry).latest("x"),
        lambda: RegistryClient(settings.registry).versions("x"),
        lambda: RegistryClient(settings.registry).wait_ready(0),
        lambda: connect(settings.cassandra).__enter__(),
        lambda: cqlsh.query(settings.cassandra, "SELECT"),
    ):
        with pytest.raises(ServiceUnavailable) as refused:
            ask()
        lines.append(str(refused.value))
    return lines


def test_who_never_tried_a_stack_keeps_the_defaults(data: Path) -> None:
    assert origins() == ["the default address"] * 3
    local.down(Settings())
    assert not (data / STACK_FILE).exists(), "`down` is no claim to a stack"
    assert origins() == ["the default address"] * 3


def test_an_up_that_failed_leaves_the_own_stack_or_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("ADSTREAM_STACK_KAFKA_PORT", str(taken.getsockname()[1]))
        with pytest.raises(StackError, match="is taken"):
            local.up(Settings())
    services = [
        *[("Kafka broker", "KAFKA_BOOTSTRAP_SERVERS")] * 3,
        *[("schema registry", "REGISTRY_URL")] * 3,
        *[("Cassandra node", "CASSANDRA_HOSTS")] * 2,
    ]
    assert refuse_all() == [
        f"no {title} answers: that of the stack in {data} does not run; "
        f"start one with `adstream up`, or set ADSTREAM_{option} to use another one"
        for title, option in services
    ]


def test_a_service_whose_process_is_gone_is_not_looked_for_at_its_port(data: Path) -> None:
    state.write(data, running())
    assert [each.where for each in (Settings().kafka, Settings().registry, Settings().cassandra)] == [
        f"Kafka at 127.0.0.1:20001 (the stack in {data})",
        f"the schema registry at http://127.0.0.1:20002/apis/ccompat/v7 (the stack in {data})",
        f"Cassandra at 127.0.0.1:20003 (the stack in {data})",
    ]
    state.write(data, running("kafka", "registry", "cassandra"))
    assert len(refuse_all()) == 8
    state.write(data, running("registry"))
    client_config(Settings().kafka)
    with pytest.raises(
        ServiceUnavailable,
        match=r"no schema registry answers at http://127.0.0.1:20002/apis/ccompat/v7: that of the stack in",
    ):
        RegistryClient(Settings().registry).latest("x")


def test_jobs_run_on_the_cluster_of_the_stack_only_while_its_master_runs(data: Path) -> None:
    known = {"spark": {"master": "spark://127.0.0.1:20004"}}
    state.write(data, State(known, {"spark": entry(20004)}))
    assert Settings().spark.master == "spark://127.0.0.1:20004"
    state.write(data, State(known, {"spark": entry(20004, ended=True)}))
    assert Settings().spark.master == "local[2]"


@pytest.mark.parametrize("master_ended", [False, True])
def test_an_ended_worker_is_forgotten_with_its_master_alone(master_ended: bool) -> None:
    """As long as the master runs, `status` must be able to say that the worker has ended."""
    services = {"spark": entry(20004, ended=master_ended), "spark_worker_1": entry(20005, ended=True)}
    found = local.without_ended(State({"spark": {"master": "spark://127.0.0.1:20004"}}, services, {"spark": 20004}))
    assert found.services == ({} if master_ended else services)
    assert list(found.addresses) == ([] if master_ended else ["spark"])
    assert found.ports == {"spark": 20004}


def test_the_place_where_it_ran_last_is_told(data: Path) -> None:
    state.write(data, State(ports={"kafka": 20001, "registry": 20002, "cassandra": 20003}))
    lines = refuse_all()
    assert [line.partition(": ")[0] for line in (lines[0], lines[3], lines[-1])] == [
        "no Kafka broker answers at 127.0.0.1:20001",
        "no schema registry answers at 127.0.0.1:20002",
        "no Cassandra node answers at 127.0.0.1:20003",
    ]


def test_a_file_that_cannot_be_read_is_no_leave_to_use_the_defaults(data: Path) -> None:
    data.mkdir()
    for content in ("", "[]", "{"):
        (data / STACK_FILE).write_text(content)
        assert len(refuse_all()) == 8


def test_what_is_named_wins(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write(data, State())
    for name, value in NAMED.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert origins() == list(NAMED)
    assert settings.kafka.where == "Kafka at broker.example:1 (ADSTREAM_KAFKA_BOOTSTRAP_SERVERS)"
    assert settings.registry.where == "the schema registry at http://registry.example/x (ADSTREAM_REGISTRY_URL)"
    assert settings.cassandra.where == "Cassandra at node.example:9042 (ADSTREAM_CASSANDRA_HOSTS)"
    monkeypatch.delenv("ADSTREAM_CASSANDRA_HOSTS")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_PORT", "1234")
    assert Settings().cassandra.where == "Cassandra at 127.0.0.1:1234 (ADSTREAM_CASSANDRA_PORT)"


def test_a_file_of_settings_names_them_as_well(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write(data, State())
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in NAMED.items()))
    assert origins() == list(NAMED)


def test_half_an_address_is_filled_up_from_the_stack_while_it_runs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write(data, running())
    monkeypatch.setenv("ADSTREAM_CASSANDRA_HOSTS", "127.0.0.1")
    assert Settings().cassandra.address == "127.0.0.1:20003"
    state.write(data, running("cassandra"))
    assert Settings().cassandra.address == "127.0.0.1:9042"


def test_a_secured_stack_is_used_by_its_files_of_settings(data: Path) -> None:
    state.write(data / "secured", State())
    for line in refuse_all():
        assert f"of the stack in {data}/secured does not run; that stack is a secured one: use" in line
        assert f"`adstream --env-file {data}/secured/admin.env ...`, or set ADSTREAM_" in line


@pytest.mark.parametrize("role", ["admin", "job"])
def test_a_roles_file_counts_where_the_environment_names_the_folder_around_its_stack(
    data: Path, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secured.make(data / "secured")
    state.write(data / "secured", running())
    monkeypatch.setenv("ADSTREAM_ENV_FILE", str(data / "secured" / f"{role}.env"))
    (tmp_path / "link").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    for named in (str(data), "data", str(tmp_path / "link"), str(data / "secured"), ""):
        monkeypatch.setenv("ADSTREAM_DATA_DIR", named)
        assert origins() == [f"the stack in {data / 'secured'}"] * 3
        assert Settings().checkpoints == data / "secured" / "checkpoints"
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path / "other"))
    assert origins() == ["the default address"] * 3, "the environment wins for any other folder"


@pytest.mark.parametrize("secured_one", [False, True])
def test_the_folder_of_a_command_is_that_of_its_services(
    data: Path, secured_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor --data-dir` compares checkpoints with topics, so both must be of this folder."""
    state.write(data, State())
    monkeypatch.setenv("ADSTREAM_ENV_FILE", "")
    folder = tmp_path / "other"
    used = folder / "secured" if secured_one else folder
    if secured_one:
        secured.make(used)
    state.write(used, running())
    settings = _settings(folder, secured=secured_one)
    assert settings.data_dir == used
    for service in (settings.kafka, settings.registry, settings.cassandra):
        assert service.origin == f"the stack in {used}"
    assert settings.cassandra.username == ("admin" if secured_one else "")


def test_a_folder_that_a_command_names_wins_over_a_roles_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secured.make(data / "secured")
    state.write(data, running())
    monkeypatch.setenv("ADSTREAM_ENV_FILE", str(data / "secured" / "job.env"))
    monkeypatch.chdir(tmp_path)
    for named in (data, Path(data.name)):
        settings = _settings(named, secured=False)
        assert settings.data_dir.absolute() == data
        assert settings.kafka.origin == f"the stack in {named}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_is_one_line_and_reaches_nobody(data: Path, command: tuple[str, ...]) -> None:
    state.write(data, State())
    problem, _, remedy = one_line(adstream(*command)).partition("; ")
    assert f"of the stack in {data} does not run" in problem
    assert remedy.startswith("start one with `adstream up`, or set ADSTREAM_")


def test_what_needs_no_service_works_without(data: Path) -> None:
    state.write(data, State())
    for command in (("explain", "ad-metrics"), ("status", "--json")):
        done = adstream(*command)
        assert done.returncode == (1 if command[0] == "status" else 0), done.stderr
        assert done.stderr == ""


def test_secrets_are_no_part_of_an_address(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("ADSTREAM_REGISTRY_URL", NAMED["ADSTREAM_REGISTRY_URL"])
    assert "canary" not in Settings().registry.where
    monkeypatch.setenv("ADSTREAM_REGISTRY_URL", "http://[canary")
    assert "canary" not in Settings().registry.where
    assert free_port()
