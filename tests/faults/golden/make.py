"""Saves a checkpoint of this release for tests of later releases.

    python -m tests.faults.golden.make

This needs a running stack, and writes `<version>.tar.gz` beside this file. The archive holds the checkpoint of some
batches of ad-metrics, `messages.json` (the topic's messages by partition, as hex) and `totals.json` (the rows of
`ad_metrics` at that time).
"""

import json
import os
import secrets
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from common.provision import prepare
from common.settings import Settings
from tests.e2e.pipeline import Pipeline, make_ad_tables
from tests.faults.golden.kept import TOPIC, totals

HERE = Path(__file__).parent


def make() -> Path:
    """Produce and run the job twice. Return the archive of the checkpoint, the messages and the totals."""
    os.environ["ADSTREAM_TOPIC_ADS"] = TOPIC
    os.environ["ADSTREAM_CASSANDRA_KEYSPACE"] = f"golden_{secrets.token_hex(4)}"
    os.environ["ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH"] = "150"
    settings = Settings()
    prepare(settings)
    make_ad_tables(settings)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(settings, Path(folder) / "checkpoint")
        for seed in ("1", "2"):
            pipeline.produce("--seed", seed, "--count", "200", "--over", "2m", "--ads", "5", "--broken", "0.05")
            pipeline.stream_once()
        messages: dict[int, list[str]] = {}
        for message in pipeline.messages():
            messages.setdefault(message.partition() or 0, []).append(bytes(message.value() or b"").hex())
        (Path(folder) / "messages.json").write_text(json.dumps(messages))
        (Path(folder) / "totals.json").write_text(json.dumps(totals(settings)))
        packed = HERE / f"{version('adstream')}.tar.gz"
        with tarfile.open(packed, "w:gz") as archive:
            for entry in sorted(Path(folder).iterdir()):
                archive.add(entry, entry.name)
    return packed


if __name__ == "__main__":
    print(make())
