"""`adstream jobs`: the catalogue, to read or as JSON."""

from typing import TYPE_CHECKING, Any

from adstream.documents import AsJson, print_document
from common.text.shown import say

if TYPE_CHECKING:
    from streaming.job import Job


def jobs(as_json: AsJson = False) -> None:
    """List the jobs: streaming jobs, with a mark if they also run in real time, and batch jobs.

    Example: `adstream jobs`

    Example: `adstream jobs --json | jq -r '.[] | select(.contract == "clickstream").job'`
    """
    from streaming.iceberg.daily_jobs import BATCH_JOBS
    from streaming.jobs import JOBS
    from streaming.real_time.suits import refusal

    if as_json:
        streams = [_stream_facts(job) for job in JOBS.values()]
        batches = [{"job": job.name, "kind": "batch", "summary": job.summary} for job in BATCH_JOBS.values()]
        print_document([*streams, *batches])
        return
    width = max(map(len, [*JOBS, *BATCH_JOBS]))
    for job in JOBS.values():
        say(f"{job.name:{width}}  {job.summary}{'' if refusal(job) else ' (or in real time)'}")
    for batch_job in BATCH_JOBS.values():
        say(f"{batch_job.name:{width}}  {batch_job.summary} (batch)")


def _stream_facts(job: "Job") -> dict[str, Any]:
    from streaming.real_time.suits import refusal
    from streaming.sinks.sink import tables_of

    parameters = {name: value for name, value in job.described().items() if name not in ("job", "mode")}
    return {
        "job": job.name,
        "kind": "stream",
        "summary": job.summary,
        "contract": job.contract,
        "key": job.key,
        "modes": job.modes,
        "parameters": parameters,
        "tables": tables_of(job.sinks),
        "real_time": not refusal(job),
    }
