"""Every reader of a topic uses one isolation level: the setting, or the level that made the checkpoint."""

import ast
from pathlib import Path

import pytest

from common import kafka
from common.errors import ConfigError
from common.kafka.isolation import made_at_level
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, Settings

ROOT = Path(__file__).parents[2]
PACKAGES = "adstream", "common", "consumer", "producer", "stack", "streaming"
FILES = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py")]
READERS = {
    "adstream/dashboard/tails.py", "common/kafka/log_cuts.py", "common/kafka/topic_ends.py",
    "common/kafka/updates_group.py", "adstream/verify/topic.py", "consumer/debug.py", "streaming/apply/changelog.py",
}  # fmt: skip


def calls(file: Path) -> set[str]:
    """Return the names of all functions that the file calls."""
    found = [node.func for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in found}


def test_no_consumer_is_made_but_from_the_common_configuration() -> None:
    making = {file.relative_to(ROOT).as_posix(): calls(file) for file in FILES if "Consumer" in calls(file)}
    assert making.keys() == READERS
    assert [name for name, made in making.items() if "consumer_config" not in made] == []


def test_spark_reads_topics_in_one_file_and_no_other_text_names_a_level() -> None:
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in FILES}
    assert {name for name, text in texts.items() if "isolation.level" in text} == {
        "common/kafka/clients.py", "streaming/sources.py"
    }  # fmt: skip
    verbs = 'spark.readStream.format("kafka")', 'spark.read.format("kafka")'
    reading = {name for name, text in texts.items() if any(verb in text for verb in verbs)}
    assert reading == {"streaming/sources.py"}


def test_the_default_is_what_was_committed_and_the_setting_chooses_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka.consumer_config(Settings().kafka)["isolation.level"] == READ_COMMITTED
    monkeypatch.setenv("ADSTREAM_KAFKA_ISOLATION_LEVEL", READ_UNCOMMITTED)
    assert kafka.consumer_config(Settings().kafka)["isolation.level"] == READ_UNCOMMITTED
    monkeypatch.setenv("ADSTREAM_KAFKA_ISOLATION_LEVEL", "serializable")
    with pytest.raises(ConfigError, match="ADSTREAM_KAFKA_ISOLATION_LEVEL cannot be used"):
        _ = Settings().kafka


def test_settings_at_another_level_leave_the_first_ones_alone() -> None:
    settings = Settings()
    other = settings.reading(READ_UNCOMMITTED)
    assert (settings.kafka.isolation_level, other.kafka.isolation_level) == (READ_COMMITTED, READ_UNCOMMITTED)
    assert other.kafka.bootstrap_servers == settings.kafka.bootstrap_servers


def test_what_was_made_before_there_was_a_setting_goes_on_as_it_read() -> None:
    assert made_at_level({"topic": "ads"}) == READ_UNCOMMITTED
    assert made_at_level({"isolation_level": "read_committed"}) == READ_COMMITTED
