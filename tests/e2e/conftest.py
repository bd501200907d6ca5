"""One real stack for all tests that need services: in a folder of its own, on free ports."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from adstream.provision import prepare
from adstream.settings import Settings
from stack import local
from tests.e2e.pipeline import Pipeline, make_ad_tables


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose addresses are the running stack's. `Settings()` and `adstream` as a program find it, too."""
    os.environ["ADSTREAM_DATA_DIR"] = str(tmp_path_factory.mktemp("stack"))
    settings = Settings()
    for service in local.SERVICES:
        setattr(settings.stack, f"{service.name}_port", 0)
    try:
        local.up(settings, report=print)
        yield Settings()
    finally:
        local.down(settings)
        del os.environ["ADSTREAM_DATA_DIR"]


@pytest.fixture
def pipeline(stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Topics, schemas, keyspace, tables and checkpoint of a test's own; subprocesses find them, too."""
    name = secrets.token_hex(4)
    monkeypatch.setenv("ADSTREAM_TOPIC_ADS", f"ads-{name}")
    monkeypatch.setenv("ADSTREAM_TOPIC_DEAD_LETTERS", f"dead-{name}")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"ads_{name}")
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")
    settings = Settings()
    prepare(settings)
    make_ad_tables(settings)
    return Pipeline(settings, tmp_path / "checkpoint")
