"""Options of a job's run, as opposed to its computation."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from common.provision import topic_of
from common.settings import Settings
from streaming.job import Job
from streaming.sinks.sink import Sink
from streaming.sources import Source, Topic


@dataclass(frozen=True)
class Options:
    """Options of a job's run; streaming.job.Job describes its computation.

    `source` replaces the job's own topic, and `sinks` replace the job's own. A run into other sinks publishes no dead
    letters. In `real_time` mode `trigger` is the length of a batch.
    """

    trigger: timedelta
    once: bool = False
    real_time: bool = False
    checkpoint: str = ""
    source: Source | None = None
    sinks: tuple[Sink, ...] | None = None
    lookup: str | None = None

    def sinks_of(self, job: Job) -> tuple[Sink, ...]:
        """Return the sinks of this run of the job."""
        return job.sinks if self.sinks is None else self.sinks

    def source_of(self, settings: Settings, job: Job) -> Source:
        """Return the source of this run of the job."""
        return self.source or Topic(settings, topic_of(settings, job.contract))

    def micro_batches(self) -> dict[str, Any]:
        """Return the beginning of each batch, as Spark's `trigger` takes it."""
        if self.once:
            return {"availableNow": True}
        return {"processingTime": f"{self.trigger // timedelta(milliseconds=1)} milliseconds"}
