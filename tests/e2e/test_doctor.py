"""`adstream doctor` beside a running Kafka."""

import json
from pathlib import Path

from common import kafka
from common.settings import Settings
from stack.checks import doctor
from tests.e2e.pipeline import Pipeline


def test_each_checkpoint_is_compared_with_its_topic(pipeline: Pipeline, tmp_path: Path) -> None:
    settings, topic = Settings(), pipeline.settings.topic.ads
    present = {"topic": topic, "topic_id": kafka.topic_id(settings, topic)}
    settings.data_dir = tmp_path  # the checkpoints of this test alone
    for name, record in {
        "as-it-was": present,
        "made-anew": present | {"topic_id": "AAAAAAAAAAAAAAAAAAAAAA"},
        "nowhere": present | {"topic": f"{topic}-nowhere"},
        "files": {"folder": "/data"},
        "files.before-20260101T000000Z": present | {"topic": f"{topic}-nowhere"},
    }.items():
        (settings.checkpoints / name).mkdir(parents=True)
        (settings.checkpoints / name / "adstream.json").write_text(json.dumps(record))
    assert [(each.verdict, each.subject, each.detail) for each in doctor.checkpoints(settings)] == [
        ("OK", "checkpoint as-it-was", f"belongs to the topic {topic} that there is"),
        ("FAIL", "checkpoint made-anew", "was made for a topic that is no more"),
        ("FAIL", "checkpoint nowhere", "was made for a topic that is no more"),
    ]
