"""Fixtures and hooks of all tests. They hide the developer's settings, and stop all services when the run is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import pytest
from pyspark.sql import SparkSession

from common.settings import Settings
from stack import local, real_time
from streaming.spark.session import open_session
from tests.e2e.pipeline import Pipeline, make_ad_tables, prepared
from tests.installed import Installed, install

pytest_plugins = ("tests.longest", "tests.shared_files", "tests.faults.account")

# JVM parts and Java are in this machine's own places. Any other variable would change the test.
MACHINE = ("ADSTREAM_STACK_CACHE_DIR", "ADSTREAM_STACK_JAVA_HOME")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="tests/browser takes the pictures in docs/images anew")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    """Let SIGTERM end the run like Ctrl-C: pytest finalises fixtures, so no service is left behind.

    Also restores Ctrl-C, which a run ignores if a shell started it in the background, and its children with it. Each
    Java lives for minutes only, so its second compiler would cost more than it saves.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A test must not fail because the machine is busy with other tests.
    hypothesis.settings.register_profile("patient", hypothesis.settings(deadline=None))
    hypothesis.settings.load_profile("patient")
    os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"
    for name in [name for name in os.environ if name.startswith("ADSTREAM_") and name not in MACHINE]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests with the mark `locked_spark` under the Spark of real-time mode."""
    if not real_time.entered():
        return
    for item in items:
        if mark := item.get_closest_marker("locked_spark"):
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))


@pytest.fixture(scope="session", autouse=True)
def _no_env_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty working folder. A program reads `.env` from its working folder, so it does not see the developer's."""
    os.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session for all tests of the streaming side. No service is needed."""
    settings = Settings()
    settings.data_dir = tmp_path_factory.mktemp("spark")
    settings.spark = settings.spark.model_copy(update={"ui": False})
    session = open_session(settings, "tests", lakehouse=True)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One real stack in a folder of its own, on free ports. `Settings()` and the program `adstream` find it."""
    os.environ["ADSTREAM_DATA_DIR"] = str(tmp_path_factory.mktemp("stack"))
    # Tests kill the one node, and with the default it may lose what it has just acknowledged (docs/guarantees.md).
    os.environ["ADSTREAM_STACK_CASSANDRA_SYNC"] = "batch"
    settings = Settings()
    for service in local.SERVICES:
        setattr(settings.stack, f"{service.name}_port", 0)
    try:
        local.up(settings, report=print)
        yield Settings()
    finally:
        local.down(settings)
        del os.environ["ADSTREAM_DATA_DIR"], os.environ["ADSTREAM_STACK_CASSANDRA_SYNC"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """adstream as an installed wheel, outside of this repository."""
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def pipeline(stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Topics, schemas, keyspace, tables and checkpoint of a test's own. Subprocesses find them, too."""
    settings = prepared(monkeypatch)
    make_ad_tables(settings)
    return Pipeline(settings, tmp_path / "checkpoint")
