"""Check that everything a job needs exists, before Spark starts: the user hears of a missing table within a second."""

from collections.abc import Iterable
from datetime import timedelta

from common.cassandra.session import require_tables
from common.cassandra.time_to_live import expiring
from common.errors import ConfigError
from common.kafka import require_topic
from common.lateness.late_events import TABLE as LATE_EVENTS
from common.provision import topic_of
from common.registry.writers import Writers
from common.settings import Settings
from streaming.job import Job
from streaming.parameters import option, value_text
from streaming.query.options import Options
from streaming.sinks.sink import tables_of
from streaming.sources import Topic

# The parameters that say how long a row's window or session is open, before late events.
_KEEP_OPEN = ("window", "gap")


def require(settings: Settings, job: Job, options: Options) -> None:
    """Check the job's times, and then each service that it will use.

    Raises ConfigError for rows that expire too early, TopicNotFound, SchemaNotFound or MigrationError if something is
    missing, ServiceUnavailable if a service does not answer, and AccessDenied if one refuses.
    """
    tables = tables_of(job.sinks if options.sinks is None else options.sinks)
    require_rows_that_last(settings, job, tables)
    source = options.source or Topic(settings, topic_of(settings, job.contract))
    source.identity()
    if not source.json_only:
        Writers.of(settings.registry, source.name).known()
        if options.sinks is None:
            require_topic(settings, settings.topic.dead_letters)
    if tables:
        require_tables(settings.cassandra, (*tables, LATE_EVENTS))


def require_rows_that_last(settings: Settings, job: Job, tables: Iterable[str]) -> None:
    """Raise ConfigError if a row could expire while its window or session is still open.

    In mode update a batch writes only the rows that it has changed. A row's last write may be at the beginning of its
    window, or with the last event of its session. The other modes write a row at its end, or all rows in every batch.
    """
    expire = expiring(tables)
    if job.output_mode != "update" or not expire or job.parameters.keys().isdisjoint(_KEEP_OPEN):
        return
    given = {name: job.parameters.get(name) for name in (*_KEEP_OPEN, job.late_option)}
    lengths = {name: value for name, value in given.items() if isinstance(value, timedelta)}
    open_for = sum(lengths.values(), timedelta(0))
    if open_for > settings.window_ttl:
        days = -(-open_for // timedelta(days=1))
        raise ConfigError(
            f"a row of {expire[0]} lives {settings.cassandra.window_ttl_days} days, and it may change for longer:"
            f" {' + '.join(f'{option(name)} {value_text(value)}' for name, value in lengths.items())}",
            f"set ADSTREAM_CASSANDRA_WINDOW_TTL_DAYS to {days} or more and run `adstream migrate`,"
            " or give shorter times",
        )
