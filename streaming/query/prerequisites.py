"""Check that everything a job needs exists, before Spark starts: the user hears of a missing table within a second."""

from collections.abc import Mapping
from datetime import timedelta

from common.cassandra.session import require_tables
from common.cassandra.time_to_live import times_to_live
from common.errors import ConfigError
from common.kafka import require_topic
from common.lateness.late_events import TABLE as LATE_EVENTS
from common.registry.writers import Writers
from common.settings import Settings
from streaming.job import Job
from streaming.parameters import option, value_text
from streaming.query.options import Options
from streaming.sinks.sink import tables_of

# The parameters that say how long a row's window or session is open, before late events.
_KEEP_OPEN = ("window", "gap")


def require(settings: Settings, job: Job, options: Options) -> None:
    """Ask each service that the job will use, and compare the job's times with its tables.

    Raises TopicNotFound, SchemaNotFound or MigrationError if something is missing, ServiceUnavailable if a service does
    not answer, AccessDenied if one refuses, and ConfigError for rows that expire too early.
    """
    tables = tables_of(options.sinks_of(job))
    source = options.source_of(settings, job)
    source.identity()
    if not source.json_only:
        Writers.of(settings.registry, source.name).known()
        if options.sinks is None:
            require_topic(settings, settings.topic.dead_letters)
    if tables:
        found = require_tables(settings.cassandra, (*tables, LATE_EVENTS))
        require_rows_that_last(job, times_to_live(found[name] for name in tables))


def require_rows_that_last(job: Job, lives: Mapping[str, timedelta]) -> None:
    """Raise ConfigError if a row could expire while its window or session is still open.

    `lives` has the time to live of each table whose rows expire, as Cassandra has it: `adstream migrate` may have run
    with other settings than this process.

    In mode update a batch writes only the rows that it has changed. A row's last write may be at the beginning of its
    window, or with the last event of its session. The other modes write a row at its end, or all rows in every batch.
    """
    if job.output_mode != "update" or not lives or job.parameters.keys().isdisjoint(_KEEP_OPEN):
        return
    given = {name: job.parameters.get(name) for name in (*_KEEP_OPEN, job.late_option)}
    lengths = {name: value for name, value in given.items() if isinstance(value, timedelta)}
    open_for = sum(lengths.values(), timedelta(0))
    table = min(lives, key=lambda name: lives[name])
    if open_for > lives[table]:
        days = -(-open_for // timedelta(days=1))
        raise ConfigError(
            f"a row of {table} lives {value_text(lives[table])}, and it may change for longer:"
            f" {' + '.join(f'{option(name)} {value_text(value)}' for name, value in lengths.items())}",
            f"run `adstream migrate` with ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS at {days} or more, or give shorter times",
        )
