"""The options of `adstream stream` and `adstream sql` that choose an input, and the place of its checkpoint."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ConfigError, TopicNotFound
from common.settings import Settings
from common.text.moments import iso_utc

if TYPE_CHECKING:
    from streaming.job import Job
    from streaming.sources import Source

EARLIEST = "earliest"
FILES_PER_BATCH = 100
_PORTS = 2**16


@dataclass(frozen=True)
class Inputs:
    """The options that name an input; without any the input is the job's own topic."""

    sample: bool = False
    topic: str | None = None
    files: Path | None = None
    socket: str | None = None
    files_per_batch: int = FILES_PER_BATCH
    start: str = EARLIEST

    def source(self, settings: Settings, job: "Job") -> "Source":
        """Return the source. Raises ConfigError for two inputs or an unusable one, TopicNotFound without a sample."""
        from common.provision import topic_of
        from streaming.sources import Folder, Socket, Topic

        given = [name for name in ("sample", "topic", "files", "socket") if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(f"--{given[0]} and --{given[1]} are two inputs", "give one of them")
        if self.start != EARLIEST and (self.files is not None or self.socket is not None):
            raise ConfigError(f"--from {self.start} needs a topic, and --{given[0]} is none", "leave --from out")
        if self.files_per_batch != FILES_PER_BATCH and self.files is None:
            raise ConfigError("--files-per-batch needs --files", "leave it out, or read the files of a folder")
        if self.files is not None:
            return Folder(self.files, self.files_per_batch)
        if self.socket is not None:
            host, _, port = self.socket.rpartition(":")
            if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < _PORTS):
                raise ConfigError(f"--socket {self.socket} is not an address", "give HOST:PORT")
            return Socket(host, int(port))
        if self.sample:
            return Topic(settings, newest_sample(settings, job.name), _start(self.start))
        return Topic(settings, self.topic or topic_of(settings, job.contract), _start(self.start))

    def checkpoint(self, settings: Settings, job: "Job", source: "Source") -> Path:
        """Return the checkpoint folder for this job and input.

        Each pair has its own, so that no run goes on with another's offsets.
        """
        from common.provision import topic_of

        if source.name == topic_of(settings, job.contract):
            return settings.checkpoints / job.name
        if self.sample:
            return settings.checkpoints / source.name
        return settings.checkpoints / f"{job.name}@{re.sub(r'[^A-Za-z0-9._-]+', '-', source.name).strip('-')}"


def newest_sample(settings: Settings, job: str) -> str:
    """Return the newest topic of `adstream produce JOB --sample`; their names sort by time. Raises TopicNotFound."""
    from common.kafka import topic_names

    found = [name for name in topic_names(settings) if name.startswith(f"{job}-sample-")]
    if not found:
        raise TopicNotFound(f"there is no sample of {job}", f"send one with `adstream produce {job} --sample`")
    return max(found)


def _start(text: str) -> str | datetime:
    if text in ("earliest", "latest"):
        return text
    try:
        return iso_utc(text)
    except ValueError:
        raise ConfigError(
            f"--from {text} is not a place to start", "give earliest, latest or 2026-01-31T10:00:00Z"
        ) from None
