"""Check that everything a job needs exists, before Spark starts: the user hears of a missing table within a second."""

from common.cassandra.session import require_tables
from common.kafka import require_topic
from common.lateness.late_events import TABLE as LATE_EVENTS
from common.provision import topic_of
from common.registry.writers import Writers
from common.settings import Settings
from streaming.job import Job
from streaming.query.options import Options
from streaming.sinks.sink import tables_of
from streaming.sources import Topic


def require(settings: Settings, job: Job, options: Options) -> None:
    """Check each service that the job will use.

    Raises TopicNotFound, SchemaNotFound or MigrationError if something is missing, ServiceUnavailable if a service does
    not answer, and AccessDenied if one refuses.
    """
    source = options.source or Topic(settings, topic_of(settings, job.contract))
    source.identity()
    if not source.json_only:
        Writers.of(settings.registry, source.name).known()
        if options.sinks is None:
            require_topic(settings, settings.topic.dead_letters)
    if tables := tables_of(job.sinks if options.sinks is None else options.sinks):
        require_tables(settings.cassandra, (*tables, LATE_EVENTS))
