"""Find the jobs that run in real-time mode, and the reasons why others do not."""

from datetime import timedelta

from common.errors import ConfigError
from common.text.durations import duration_text
from streaming.job import Job
from streaming.sinks.sink import write_row_by_row

# The time between two commits. Each commit is a pause of a second. After a crash the query counts events since the last
# commit again.
TRIGGER = timedelta(minutes=5)
SHORTEST_TRIGGER = timedelta(seconds=5)
_MODE = "update"


def refusal(job: Job) -> str:
    """Return in one line why the job cannot run in real-time mode; empty if it can.

    Spark allows few steps in a real-time query. It allows no Python, so no arbitrary state. It allows no joined table
    that is read again, and only output mode update. Rows pass through a topic to Cassandra's tables.
    """
    if job.arbitrary_state:
        return "its state is kept by Python, which Spark does not run in this mode"
    if job.output_mode != _MODE:
        others = f"; with --mode {_MODE} it can" if _MODE in job.modes else ""
        return f"this mode gives a row again with each event, and the job runs in {job.output_mode} mode{others}"
    if job.lookup is not None:
        return "it joins a static table"
    if not job.sinks:
        return "it prints its rows, and this mode writes them to a topic"
    if not write_row_by_row(job.sinks):
        return "its sink combines rows, and this mode writes each by itself"
    return ""


def require_length(batch: timedelta) -> None:
    """Raise ConfigError for a batch that is shorter than Spark takes."""
    if batch < SHORTEST_TRIGGER:
        least = duration_text(SHORTEST_TRIGGER)
        raise ConfigError(
            f"--trigger {duration_text(batch)} is too short for real-time mode: it is the time between two commits",
            f"give {least} or more; rows come at once, however long it is",
        )


def require(job: Job, *, once: bool, console: bool, from_topic: bool) -> None:
    """Raise ConfigError if the job, or this way to run it, does not suit real-time mode."""
    why = refusal(job)
    if once:
        why = "it has no end, and --once and --sample ask for one"
    elif console:
        why = "its rows go to a topic, and --console prints them"
    elif not from_topic:
        why = "it reads a topic, and no files and no socket"
    if why:
        raise ConfigError(f"{job.name} does not run in real-time mode: {why}", "leave --real-time out")


def slots(partitions: int, shuffle_partitions: int, *, dedupe: bool) -> int:
    """Return the number of tasks that need a slot: all stages of the query at once, and the tasks that settle a batch.

    There is a task for each partition of the topic, and one for each state partition in each stateful step. Settling
    the last batch may take as many tasks for a stage as either of them. The next batch cannot begin unless all its
    slots are free.
    """
    return partitions + shuffle_partitions * (2 if dedupe else 1) + max(partitions, shuffle_partitions)
