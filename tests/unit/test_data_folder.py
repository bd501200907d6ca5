"""A data folder that cannot be written is one line, and no traceback."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from common.settings import Settings
from common.system.running import announced
from streaming.spark.session import open_session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data folder is a file."""
    found = Settings()
    found.data_dir = tmp_path / "file"
    found.data_dir.touch()
    return found


def test_a_job_cannot_announce_itself(settings: Settings) -> None:
    with (
        pytest.raises(ConfigError, match=r"file/running cannot be written: .*; .* ADSTREAM_DATA_DIR$"),
        announced(settings, "ad-metrics", "http://127.0.0.1:1"),
    ):
        pass


def test_spark_does_not_start_without_its_log(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"file/logs/ad-metrics\.log cannot be written: .*; .* ADSTREAM_DATA_DIR$"):
        open_session(settings, "ad-metrics")
