"""For all tests: no settings of the developer's, and a kill of the run stops what it started."""

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from pyspark.sql import SparkSession

from adstream.settings import Settings
from streaming.session import open_session

# Where the JVM parts and Java are is this machine's business, not a test's; all else would change what is tested.
MACHINE = ("ADSTREAM_STACK_CACHE_DIR", "ADSTREAM_STACK_JAVA_HOME")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does: fixtures are finalised, so that no service is left behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    for name in [name for name in os.environ if name.startswith("ADSTREAM_") and name not in MACHINE]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _no_env_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The developer's `.env` is read from the folder where a program runs; the tests run in an empty one."""
    os.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session for all tests of the streaming side; no service is needed."""
    settings = Settings()
    settings.data_dir = tmp_path_factory.mktemp("spark")
    settings.spark = settings.spark.model_copy(update={"ui": False})
    session = open_session(settings, "tests", lakehouse=True)
    yield session
    session.stop()
