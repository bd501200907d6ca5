"""A registry that takes a question and never answers is an error after the timeout of the settings."""

import socket
import time

import pytest

from common.errors import ServiceUnavailable
from common.registry.connection import Connection
from common.settings import RegistrySettings


@pytest.mark.timeout(30)
def test_a_registry_that_never_answers_is_told_after_its_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable, match=r"did not answer within 0\.5 s"):
            Connection(RegistrySettings(url=url, timeout_seconds=0.5)).once(lambda client: client.get_subjects(), "")
        assert 0.4 < time.monotonic() - began < 10
