"""The state of the running jobs, from their GET /progress (docs/metrics.md)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2 as httpx

from common.errors import BadInput, ServiceUnavailable
from common.system.running import RunningJob

TIMEOUT_SECONDS = 2.0
_MILLION = 1024 * 1024


@dataclass(frozen=True)
class Health:
    """The report of a job: its newest batches, oldest first, and each partition's `end`, `latest` and `lag`.

    `batches` are as in `/progress`, with `at` and `watermark` as datetimes (UTC; the watermark may be None).
    `freshness` has the age of the newest event in the tables in `seconds`, `at` each second of the last minutes.
    """

    job: str
    source: str
    started: datetime
    restarts: int
    ready: bool
    reason: str
    partitions: Mapping[str, Mapping[str, int]]
    batches: list[dict[str, Any]]
    freshness: list[dict[str, Any]]

    @property
    def lag(self) -> int:
        return sum(each["lag"] for each in self.partitions.values())

    def sums(self) -> dict[str, int]:
        """Return the sums of events, duplicates, late events and dead letters over the reported batches."""
        return {name: sum(each[name] for each in self.batches) for name in ("events", "duplicates", "late", "dead")}

    def dead_by_reason(self) -> list[tuple[str, int]]:
        """Return dead letters by reason over the reported batches, the most frequent reason first."""
        counts: Counter[str] = Counter()
        for each in self.batches:
            counts.update(each["dead_by_reason"])
        return counts.most_common()

    def over_time(self) -> list[dict[str, Any]]:
        """Return a row per batch for charts, with `behind` and `state_mb`.

        `behind` is the seconds from the watermark to the batch.
        """
        return [
            each
            | {
                "behind": (each["at"] - each["watermark"]).total_seconds() if each["watermark"] else None,
                "state_mb": each["state_bytes"] / _MILLION,
            }
            for each in self.batches
        ]


def ask(job: RunningJob) -> Health:
    """Ask a job for its report.

    Raises ServiceUnavailable if the job does not answer, BadInput if something else answers.
    """
    try:
        # Jobs serve on this machine, so this uses no proxy of the environment.
        answer = httpx.get(f"{job.url}/progress", timeout=TIMEOUT_SECONDS, trust_env=False)
        answer.raise_for_status()
        return parsed(answer.json())
    except httpx.HTTPError as error:
        raise ServiceUnavailable(
            f"job {job.job} (process {job.pid}) does not answer at {job.url}: {type(error).__name__}",
            f"look at its output, or start it again with `adstream stream {job.job}`",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(
            f"{job.url} answers, but not as a job does", f"start {job.job} again with this version"
        ) from None


def parsed(told: Mapping[str, Any]) -> Health:
    """Parse a job's report. Raises KeyError, TypeError or ValueError for another form."""
    return Health(
        job=told["job"],
        source=told["source"],
        started=datetime.fromisoformat(told["started"]),
        restarts=told["restarts"],
        ready=told["ready"],
        reason=told["reason"],
        partitions=told["partitions"],
        batches=[
            each
            | {
                "at": datetime.fromisoformat(each["at"]),
                "watermark": datetime.fromisoformat(each["watermark"]) if each["watermark"] else None,
            }
            for each in told["batches"]
        ],
        freshness=[each | {"at": datetime.fromisoformat(each["at"])} for each in told["freshness"]],
    )
