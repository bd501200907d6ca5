"""The claim of a checkpoint: its first run records its owner, and each later run and each failure compare it."""

from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

from common import kafka
from common.errors import AccessDenied, ConfigError, ServiceUnavailable, TopicNotFound
from common.kafka.isolation import BEFORE_ISOLATION, ISOLATION
from common.settings import Settings
from streaming.job import Job
from streaming.recovery.checkpoint import REAL_TIME, Checkpoint, damage
from streaming.sources import Source, Topic


def claim(
    settings: Settings, job: Job, source: Source, checkpoint: Checkpoint, *, real_time: bool, dead_letters: bool
) -> dict[str, Any]:
    """Return the options that the checkpoint keeps in place of the settings' own values.

    Raises CheckpointError if the checkpoint belongs to another job, source or way of running, and ConfigError if the
    job needs another state store. Raises TopicNotFound for its topic, and for the topic of the `dead_letters` that it
    publishes.
    """
    store = settings.spark.state_store
    if job.arbitrary_state and store != "rocksdb":
        raise ConfigError(f"{job.name} keeps its state in RocksDB", "set ADSTREAM_SPARK_STATE_STORE=rocksdb for it")
    identity = source.identity()
    if dead_letters:
        kafka.require_topic(settings, settings.topic.dead_letters)
    checkpoint.require_mode(job.name, real_time=real_time)
    isolation = {ISOLATION: settings.kafka.isolation_level} if isinstance(source, Topic) else {}
    return checkpoint.claim(
        {**identity, "state_store": store, **job.described(), REAL_TIME: real_time},
        {"shuffle_partitions": settings.spark.shuffle_partitions, **isolation},
        unwritten={**BEFORE_ISOLATION, REAL_TIME: False},
    )


def refuse_what_cannot_go_on(error: Exception, source: Source, checkpoint: Checkpoint, *, last: bool) -> None:
    """Raise CheckpointError or TopicNotFound if no further attempt can repair the failed batch.

    `last` says that no further attempt follows.
    """
    if what := damage(error):
        raise checkpoint.damaged(what) from error
    if isinstance(source, Topic):
        try:
            checkpoint.claim(source.identity())
            source.require_kept(checkpoint)
        except (ServiceUnavailable, AccessDenied, Py4JJavaError):
            pass  # Kafka itself is the reason, or the checkpoint's file system
        except TopicNotFound:
            if last:  # a broker that has just come back may not know its topics yet
                raise
