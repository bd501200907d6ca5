"""The choice of a port, and the error when a port is not available."""

import os
import socket
from collections.abc import Iterator

import pytest

from common.errors import StackError
from common.settings import StackSettings
from stack.host import ports


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
    assert "--kafka-port" in refused.value.remedy


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
