"""The applying process from start to end: the code of `adstream apply`."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from common.cassandra.session import require_tables
from common.errors import AdstreamError
from common.provision import updates_topic
from common.settings import Settings
from streaming.apply.applier import Applier
from streaming.apply.changelog import Changelog
from streaming.apply.report import ApplyMonitor, Report, last_line
from streaming.apply.target import Target
from streaming.apply.updates import Place
from streaming.job import Job
from streaming.monitoring.endpoint import answering
from streaming.sinks.cassandra_rows import close_session


@dataclass(frozen=True)
class ApplyOptions:
    """Options of the applying process.

    With `once` it ends with the topic's present rows. With `input_ends` it also ends when standard input closes. With
    `anew` it begins at the topic's start. `skipped` are messages to leave out, and `member` is this process's name in
    its group.
    """

    once: bool = False
    input_ends: bool = False
    anew: bool = False
    skipped: tuple[Place, ...] = ()
    member: str | None = None


def apply_updates(
    settings: Settings,
    job: Job,
    options: ApplyOptions,
    *,
    stopping: threading.Event,
    say: Callable[[str], None],
    out: TextIO | None,
) -> None:
    """Write the job's rows from its updates topic into its tables, until somebody asks for a stop.

    Reports by `say`, or as JSON lines to `out`. Raises an AdstreamError if it cannot go on. Rows that are not in the
    tables yet come again at the next start. Raises Unproved if some have left the topic before.
    """
    target = Target(settings, job)
    require_tables(settings.cassandra, target.tables.values())
    changelog = Changelog(
        settings,
        updates_topic(settings, job.name),
        member=options.member,
        anew=options.anew,
        skipped=options.skipped,
    )
    applier = Applier(changelog, target, notice=lambda line: report.notice(line))
    monitor = ApplyMonitor(job.name, applier)
    report = Report(monitor, applier, say, out)
    try:
        with answering(settings.metrics, monitor) as url:
            where = f"; metrics and progress: {url}/metrics, /progress" if url else ""
            report.event(f"applying {changelog.topic} to {', '.join(target.tables.values())}{where}")
            applier.run(stopping, told=report, until=_end(changelog, options))
            changelog.close()
            report(now=True)
            report.event(last_line(applier))
    except AdstreamError as error:
        report.failed(error)  # before the consumer is closed: a closed consumer has no lag
        with suppress(Exception):
            changelog.close()
        raise
    finally:
        close_session()


def _end(changelog: Changelog, options: ApplyOptions) -> Callable[[], bool]:
    """Return a function that tells whether all wanted rows are in the tables."""
    ended = threading.Event()
    if options.once:
        ended.set()
    elif options.input_ends:
        threading.Thread(target=_until_closed, args=(ended,), name="input", daemon=True).start()
    ends: Mapping[int, int] | None = None

    def reached() -> bool:
        nonlocal ends
        if not ended.is_set():
            return False
        if ends is None:
            ends = changelog.ends()
        return changelog.reached(ends)

    return reached


def _until_closed(ended: threading.Event) -> None:
    with suppress(OSError, ValueError):
        while sys.stdin.buffer.read(4_096):
            time.sleep(0)
    ended.set()
