"""Find the job that reads a topic, and its treatment of a single message."""

import json
from dataclasses import dataclass
from datetime import timedelta

from common import contracts
from common.contracts import Contract
from common.errors import ConfigError
from common.provision import topic_of
from common.settings import Settings
from common.system.checkpoint_folders import RECORD


@dataclass(frozen=True)
class TopicReader:
    """The contract of a topic's reader, whether the reader takes JSON too, and its lateness, if it has one."""

    job: str
    contract: Contract
    takes_json: bool
    lateness: timedelta | None


def reader_of(settings: Settings, job_name: str, topic: str) -> TopicReader:
    """Return the job of this name, or else the first one that reads the topic. Raises ConfigError if none does."""
    from streaming.jobs import JOBS

    reading = (job for job in JOBS.values() if topic_of(settings, job.contract) == topic)
    job = JOBS.get(job_name) or next(reading, None)
    if job is None:
        raise ConfigError(f"no job of the catalogue reads {topic}", "`adstream jobs` lists them")
    default = job.parameters.get("lateness") or job.parameters.get("watermark")
    lateness = _started_with(settings, job.name) or (default if isinstance(default, timedelta) else None)
    return TopicReader(job.name, contracts.latest(job.contract), job.json, lateness)


def _started_with(settings: Settings, job: str) -> timedelta | None:
    """Return the lateness in the job's own checkpoint, if the checkpoint is in its default place."""
    try:
        made_with = json.loads((settings.checkpoints / job / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    seconds = made_with.get("lateness_seconds") or made_with.get("watermark_seconds")
    return timedelta(seconds=seconds) if seconds else None
