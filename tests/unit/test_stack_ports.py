"""The choice of a port, and the error when a port is not available."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import ConfigError, StackError
from common.settings import StackSettings, option_names
from stack import dashboard_port, local
from stack.host import ports
from stack.host.exclusive import alone
from stack.spark import MASTER

WAY_OUT = "let `adstream up --free-ports` choose others, or set ADSTREAM_STACK_KAFKA_PORT"
NOT_OPEN = "is not open to this user, as only root may listen on the lowest ports"
LOWEST, NOBODY = 1, 65_534


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_taken_port_is_one_line_with_its_holder_and_the_way_out(taken: int) -> None:
    with pytest.raises(StackError) as refused:
        ports.require_free("Kafka", "kafka", taken)
    assert refused.value.problem.startswith(f"port {taken} for Kafka is taken by ")
    assert refused.value.problem.endswith(f"(process {os.getpid()})")
    assert refused.value.remedy == WAY_OUT


def test_the_way_out_exists_for_every_service_that_has_a_port_of_its_own(taken: int) -> None:
    for service in (*local.SERVICES, MASTER):
        with pytest.raises(StackError) as refused:
            ports.require_free(service.title, service.name, taken)
        assert set(re.findall(r"ADSTREAM_\w+", refused.value.remedy)) <= set(option_names())


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be a user without root's rights in this block."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= LOWEST,
    reason="on this machine everybody may use every port",
)
def test_a_port_that_only_root_may_use_is_not_called_taken() -> None:
    with ordinary_user(), pytest.raises(StackError) as refused:
        ports.require_free("Kafka", "kafka", LOWEST)
    assert str(refused.value) == f"port {LOWEST} for Kafka {NOT_OPEN}; {WAY_OUT}"
    with ordinary_user(), pytest.raises(ConfigError, match=rf"^port {LOWEST} {NOT_OPEN}; leave --port out"):
        dashboard_port.choose_port(LOWEST)


def test_a_folder_that_cannot_be_written_is_one_line_for_every_command(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with ordinary_user(), pytest.raises(StackError) as refused, alone(tmp_path / "data"):
        pass
    assert str(refused.value) == (
        f"{tmp_path / 'data'} cannot be written: Permission denied; set ADSTREAM_DATA_DIR to another folder"
    )


def test_a_number_is_meant_and_zero_is_any_free_one(taken: int) -> None:
    assert ports.choose("kafka", taken, {}, ()) == taken
    chosen = ports.choose("kafka", 0, {}, ())
    assert ports.is_free(chosen)
    assert ports.choose("kafka", 0, {"kafka": chosen}, ()) == chosen
    assert ports.choose("kafka", 0, {"kafka": taken}, ()) != taken
    assert ports.choose("kafka", 0, {"kafka": chosen}, {chosen}) != chosen


def test_the_port_of_last_time_comes_before_the_default_and_after_what_is_set() -> None:
    assert ports.asked_for("kafka", StackSettings(), {}) == 9092
    assert ports.asked_for("kafka", StackSettings(), {"kafka": 20_001}) is None
    assert ports.asked_for("kafka", StackSettings(kafka_port=9093), {"kafka": 20_001}) == 9093
