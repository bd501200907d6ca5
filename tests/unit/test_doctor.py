"""What `doctor` says of checkpoints, without services."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adstream import reset
from common.settings import Settings
from common.system.checkpoint_folders import topics
from stack import state
from stack.checks import doctor
from stack.checks.finding import Finding
from stack.state import State
from streaming.sources import Folder, Socket

TOPIC = {"topic": "ads_data", "topic_id": "abc"}
NOT_COMPARED = "not compared with its topic, as Kafka does not run"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a stack that does not run, so that no check finds a Kafka."""
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    state.write(tmp_path, State())
    return Settings()


def record(settings: Settings, name: str, text: str) -> Path:
    folder = settings.checkpoints / name
    folder.mkdir(parents=True)
    (folder / "adstream.json").write_text(text)
    return folder


def test_checkpoints_over_files_and_a_socket_belong_to_no_topic(settings: Settings, tmp_path: Path) -> None:
    record(settings, "user-clicks@files", json.dumps({"id": "1", **Folder(tmp_path).identity()}))
    record(settings, "user-clicks@socket", json.dumps({"id": "2", **Socket("127.0.0.1", 9999).identity()}))
    assert doctor.checkpoints(settings) == []
    assert topics(settings) == set()


def test_a_checkpoint_that_reset_has_set_aside_is_left_out(settings: Settings) -> None:
    used = record(settings, "ad-metrics", json.dumps(TOPIC))
    assert doctor.checkpoints(settings) == [Finding("OK", "checkpoint ad-metrics", NOT_COMPARED)]
    assert topics(settings) == {"ads_data"}
    decided = reset.plan("ad-metrics", used, (), datetime.now(UTC))
    assert decided.aside is not None
    used.rename(decided.aside)
    assert doctor.checkpoints(settings) == []
    assert topics(settings) == set()
    # A folder of files may have almost such a name.
    record(settings, "ad-metrics@tmp-ads.before-noon", json.dumps(TOPIC))
    assert [each.subject for each in doctor.checkpoints(settings)] == ["checkpoint ad-metrics@tmp-ads.before-noon"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"topic": null}', "\xff", None])
def test_a_record_that_cannot_be_read_is_one_finding_and_ends_no_check(settings: Settings, text: str | None) -> None:
    if text is None:
        (settings.checkpoints / "ad-metrics" / "adstream.json").mkdir(parents=True)
    else:
        record(settings, "ad-metrics", "").joinpath("adstream.json").write_bytes(text.encode("latin-1"))
    remedy = f"restore it from a backup, or move {settings.checkpoints / 'ad-metrics'} away"
    wanted = Finding("FAIL", "checkpoint ad-metrics", "its adstream.json cannot be read", remedy)
    assert doctor.checkpoints(settings) == [wanted]
    assert doctor.broker_time(settings) == [Finding("OK", "broker time", "not looked at, as Kafka does not run")]
    unasked = Finding("OK", "open transactions", "not looked for, as Kafka does not run")
    assert doctor.open_transactions(settings) == [unasked]
