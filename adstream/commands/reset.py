"""`adstream reset JOB`: start a job over, with a new checkpoint and empty tables."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adstream.commands import completion
from adstream.commands.asking import ask
from common.errors import ConfigError
from common.settings import Settings
from common.text.shown import say


def reset(
    job: Annotated[
        str, typer.Argument(help="The job, as `adstream jobs` lists it.", autocompletion=completion.streams)
    ],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The job's checkpoint. Default: <data dir>/checkpoints/JOB.")
    ] = None,
    keep_tables: Annotated[
        bool, typer.Option("--keep-tables", help="Keep the rows. Each stays unchanged until the job counts it again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Start a job over: move its checkpoint aside and truncate its tables. Stop the job first.

    The next `adstream stream JOB` counts everything that the topic still has. Rows of samples are in the same tables.

    Example: `adstream reset ad-metrics`
    """
    from adstream import reset as resetting
    from common.kafka import topic_names
    from common.provision import updates_topic
    from streaming.jobs import find
    from streaming.recovery.checkpoint import held
    from streaming.sinks.sink import tables_of

    settings = Settings()
    chosen = find(job)
    tables = tables_of(chosen.sinks)
    if not tables:
        raise ConfigError(f"{job} writes no Cassandra table", "give `adstream stream` another --checkpoint")
    where = settings.cassandra.where
    folder = (checkpoint or settings.checkpoints / job).absolute()
    updates = updates_topic(settings, job)
    waiting = updates if updates in topic_names(settings) else None
    plan = resetting.plan(job, folder, () if keep_tables else tables, datetime.now(UTC), updates=waiting)
    if plan.checkpoint is None:
        say(f"there is no checkpoint {folder}")
    else:
        say(f"checkpoint {plan.checkpoint} is moved to {plan.aside}")
    if plan.updates is not None:
        say(f"rows in topic {plan.updates} that are not applied yet are left out")
    if plan.tables:
        say(f"in {where}:")
    for table in plan.tables:
        say(f"table {settings.cassandra.keyspace}.{table} is emptied, rows of samples included")
    if not yes:
        ask("Do it?", "add --yes")
    if plan.checkpoint is None:
        resetting.reset(settings, plan, say)
    else:
        with held(str(folder)):
            resetting.reset(settings, plan, say)
    say(f"done; `adstream stream {job}` begins anew")
