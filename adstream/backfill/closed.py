"""Find the closed windows: no event can enter them any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adstream.backfill.request import Request
from common.errors import CheckpointError, ConfigError
from common.event_rules import AHEAD
from streaming.job import Job
from streaming.recovery.checkpoint import REAL_TIME, Checkpoint

# The backfill compares windows in pieces of this length, so that the driver holds the rows of one piece only.
PIECE = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Committed:
    """The job's commits: offsets by partition, and the watermark below which it counts no further event."""

    made_with: Mapping[str, Any]
    id: str
    first: Mapping[int, int]
    upto: Mapping[int, int]
    watermark: datetime

    @property
    def real_time(self) -> bool:
        """Whether the job counts in real-time mode."""
        return bool(self.made_with.get(REAL_TIME))

    @classmethod
    def by(cls, checkpoint: Checkpoint, job: Job) -> "Committed":
        """Return the commits of the job. Raises CheckpointError if the checkpoint is not this job's over a topic."""
        made_with = checkpoint.made_with()
        if made_with.get("job") != job.name or "topic_id" not in made_with:
            raise CheckpointError(
                f"{checkpoint.path} is not a checkpoint of {job.name} over a topic", "give the job's --checkpoint"
            )
        batch, topic = checkpoint.last_committed(), made_with["topic"]
        upto = {partition: end for partition, (_, end) in checkpoint.batch_offsets(topic, batch).items()}
        # The watermark of this batch makes events of the next batch late.
        watermark = _EPOCH + timedelta(milliseconds=checkpoint.late_before(batch + 1))
        return cls(made_with, checkpoint.id, checkpoint.first_offsets(topic), upto, watermark)


def closed(
    job: Job, request: Request, watermark: datetime, *, oldest: datetime, now: datetime
) -> tuple[datetime, datetime, int]:
    """Return the closed windows of the request, in whole slides from [start, end), and the number of open ones.

    Windows from before `oldest` are left out, because the table's TTL may have removed them. Raises ConfigError if no
    window is left.
    """
    length, slide = job.parameters["window"], job.parameters["slide"]
    assert isinstance(length, timedelta) and isinstance(slide, timedelta)  # noqa: S101, PT018 - what --window takes
    start = _up(max(request.start, oldest), slide)
    asked = min(_up(request.end, slide), _up(now + AHEAD, slide))
    if start >= asked:
        raise ConfigError(
            f"no window begins between {request.start.isoformat()} and {request.end.isoformat()} that the table keeps",
            f"windows begin every {slide}, and are kept from {oldest:%Y-%m-%dT%H:%M:%SZ} on",
        )
    end = min(asked, _up(watermark - length + timedelta(milliseconds=1), slide))
    if start >= end:
        raise ConfigError(
            f"none of these windows is closed yet: the job's watermark is at {watermark:%Y-%m-%dT%H:%M:%SZ}",
            "ask for windows that end before that; `adstream verify` compares open ones",
        )
    return start, end, (asked - end) // slide


def piece(job: Job) -> timedelta:
    """Return the length of a piece: about an hour, in whole slides."""
    slide = job.parameters["slide"]
    assert isinstance(slide, timedelta)  # noqa: S101 - what --slide takes
    return max(slide, PIECE - PIECE % slide)


def _up(moment: datetime, slide: timedelta) -> datetime:
    """Return the first start of a window at or after the moment. Starts are counted from 1970."""
    return moment + (_EPOCH - moment) % slide
