"""`adstream verify ad-metrics`: the raw topic, as far as the job has committed it, against the tables."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adstream import kafka
from adstream.dead_letters import Place, Wanted, read
from adstream.errors import CheckpointError, TopicNotFound
from adstream.reasons import UNKNOWN_SCHEMA_ID
from adstream.registry import RegistryClient
from adstream.settings import Settings
from adstream.verify.backfilled import of_checkpoint
from adstream.verify.oracle import Expected, expect
from adstream.verify.tables import Comparison, compare
from adstream.verify.topic import Judge, Judged, messages


@dataclass(frozen=True)
class Verified:
    """The comparison, and the fate of every message of the topic up to what was committed.

    `backfilled` of the late ones were counted in windows by a backfill.
    """

    comparison: Comparison
    fates: dict[str, int]
    messages: int
    backfilled: int = 0


def verify(
    settings: Settings,
    checkpoint: Path,
    *,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verified:
    """Compute again what the job with this (local) checkpoint must have written, and compare it with Cassandra.

    Raises CheckpointError where there is no checkpoint to tell how far the job came.
    """
    topic = settings.topic.ads
    shape = _shape(checkpoint)
    upto = committed_offsets(checkpoint, topic)
    schemas = {
        found.id: json.loads(found.text) for found in RegistryClient(settings.registry).versions(f"{topic}-value")
    }
    judge = Judge(schemas, timedelta(seconds=shape["lateness_seconds"]))
    made = datetime.fromtimestamp((checkpoint / "adstream.json").stat().st_mtime, UTC)
    dead_then = unknown_when_read(settings, topic, made)
    begin = kafka.begin_offsets(settings, topic)
    count = sum(max(0, end - begin.get(partition, end)) for partition, end in upto.items())

    def judged() -> Iterator[Judged]:
        for done, message in enumerate(messages(settings, topic, upto)):
            if done % 10_000 == 0:
                progress(done, count)
            partition, offset = message.partition() or 0, message.offset() or 0
            if Place(topic, partition, offset) in dead_then:
                yield Judged(partition, offset, "dead")
            else:
                yield judge.judge(partition, offset, message.timestamp()[1], message.value())
        progress(count, count)

    expected: Expected = expect(
        judged(),
        window=timedelta(seconds=shape["window_seconds"]),
        slide=timedelta(seconds=shape["slide_seconds"]),
        dedupe=bool(shape["dedupe"]),
        backfills=of_checkpoint(settings, "ad-metrics", checkpoint),
    )
    comparison = compare(settings, expected, now=now)
    return Verified(comparison, expected.fates, sum(expected.fates.values()), expected.backfilled)


def unknown_when_read(settings: Settings, topic: str, made: datetime) -> set[Place]:
    """Messages whose schema was registered only after the job had read them: then they were dead, today they look good.

    It is the one thing of the job's that is believed here, because nobody else can know it. Letters from before the
    checkpoint was `made` are an earlier run's.
    """
    wanted = Wanted(topic=topic, reason=UNKNOWN_SCHEMA_ID, job="ad-metrics", since=made)
    try:
        return set(read(settings, wanted, whole=False))
    except TopicNotFound:
        return set()


def committed_offsets(checkpoint: Path, topic: str) -> dict[int, int]:
    """Partition -> end offset of the last batch that was committed."""
    batches = [int(file.name) for file in (checkpoint / "commits").glob("*") if file.name.isdigit()]
    if not batches:
        raise CheckpointError(f"{checkpoint} holds no committed batch", "run `adstream stream ad-metrics` first")
    last = (checkpoint / "offsets" / str(max(batches))).read_text(encoding="utf-8").splitlines()[-1]
    return {int(partition): int(offset) for partition, offset in json.loads(last)[topic].items()}


def _shape(checkpoint: Path) -> dict[str, float]:
    try:
        shape: dict[str, float] = json.loads((checkpoint / "adstream.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CheckpointError(
            f"{checkpoint} is not a checkpoint of ours", "run `adstream stream ad-metrics` first"
        ) from None
    return shape
