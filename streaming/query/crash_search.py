"""Find the messages that crash a batch by computing parts of it, and set them aside."""

from collections.abc import Callable
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from common.settings import KafkaSettings
from streaming.micro_batch.pipeline import Pipeline
from streaming.recovery.checkpoint import Checkpoint
from streaming.recovery.quarantine import Ranges, culprits
from streaming.sources import topic_range


@dataclass(frozen=True)
class CrashSearch:
    """A search in one topic, by the plan that has crashed."""

    spark: SparkSession
    kafka: KafkaSettings
    topic: str
    pipeline: Pipeline
    checkpoint: Checkpoint

    def set_aside(self, suspected: Ranges, notice: Callable[[str], None]) -> bool:
        """Set aside the suspected messages that alone make a batch crash; the next plan leaves them out.

        Returns whether there are any.
        """
        if not suspected:
            return False
        notice("the batch crashed twice: looking for messages that are the cause")
        found = culprits(suspected, self._crashes)
        if found:
            self.checkpoint.set_aside(found)
            places = ", ".join(f"{self.topic}/{partition}/{offset}" for partition, offset in found)
            notice(f"{places}: set aside as dead letters, because the job crashes on them")
        else:
            notice("no message alone is the cause")
        return bool(found)

    def _crashes(self, ranges: Ranges) -> bool:
        messages = topic_range(self.spark, self.kafka, self.topic, ranges)
        try:
            self.pipeline.without_refusing().rows(messages).write.format("noop").mode("overwrite").save()
        except (PySparkException, Py4JJavaError):
            return True
        return False
