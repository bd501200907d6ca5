"""`adstream stream JOB`: run a streaming job until it is stopped, or until its input ends."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from adstream.commands import completion
from adstream.commands.inputs import EARLIEST, FILES_PER_BATCH, Inputs
from adstream.commands.job_options import own_options
from common import extensions
from common.errors import ConfigError
from common.settings import Settings
from common.system.stopping import stop_requested
from common.text.durations import parse_duration
from common.text.shown import say
from common.text.terminal import Terminal
from common.text.text_input import TextInput


def stream(
    context: typer.Context,
    job: Annotated[
        str, typer.Argument(help="The job, as `adstream jobs` lists it.", autocompletion=completion.streams)
    ],
    trigger: Annotated[str | None, typer.Option(help="Time between two batches; 0 is as fast as it goes.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Take all there is, then stop.")] = False,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="Where a new checkpoint starts: earliest, latest, or a time like 2026-01-31T10:00:00Z."
        ),
    ] = EARLIEST,
    sample: Annotated[
        bool,
        typer.Option("--sample", help="Run once over the newest topic of `adstream produce JOB --sample`."),
    ] = False,
    topic: Annotated[
        str | None, typer.Option(help="Read this topic instead of the job's own.", autocompletion=completion.topics)
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Read the JSON files of this folder, new ones as they come, instead of Kafka.")
    ] = None,
    files_per_batch: Annotated[
        int, typer.Option(min=1, help="Most files in one batch, with --files.")
    ] = FILES_PER_BATCH,
    socket: Annotated[
        str | None, typer.Option(help="Read JSON lines from HOST:PORT instead of Kafka; what was read is not kept.")
    ] = None,
    master: Annotated[str | None, typer.Option(help="Spark master; the setting's, local[2], unless given.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Checkpoint folder; else <data dir>/checkpoints/JOB.")] = None,
    console: Annotated[
        bool, typer.Option("--console", help="Print the rows instead of writing them; keeps no checkpoint.")
    ] = False,
    mode: Annotated[str | None, typer.Option(help="Output mode: append, update or complete.")] = None,
    lookup: Annotated[Path | None, typer.Option(help="CSV to join with, where a job has a static table.")] = None,
    log_format: Annotated[
        Literal["text", "json"] | None, typer.Option(help="text, or json: an object a line, for programs.")
    ] = None,
    metrics_port: Annotated[
        str | None, typer.Option(help="Port of /metrics, /health, /ready and /progress; 0 is a free one, or off.")
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help="Write the rows into this sink of an installed package as well. Repeatable.",
            autocompletion=completion.sinks,
        ),
    ] = None,
    real_time: Annotated[
        bool,
        typer.Option(
            "--real-time",
            help="Write each event's rows at once, in Spark's real-time mode."
            " `--trigger` is then the time between two commits.",
        ),
    ] = False,
) -> None:
    """Run a streaming job. Ctrl-C and SIGTERM stop it after the running batch; started again it goes on.

    `adstream stream JOB --help` shows what one job takes. Its own options cannot change once its checkpoint exists.

    Example: `adstream stream ad-metrics --trigger 3s`

    Example: `adstream stream user-sessions --gap 30m`

    Example: `adstream stream mobile-actions --files inbox --console`

    Example: `adstream stream ad-metrics --real-time`
    """
    from streaming.jobs import find
    from streaming.launch import launch
    from streaming.monitoring.json_lines import json_lines
    from streaming.monitoring.listener import Listener
    from streaming.query.options import Options
    from streaming.sinks.console import Console as ConsoleSink

    settings = Settings()
    if log_format is not None:
        settings.log = settings.log.model_copy(update={"format": log_format})
    if metrics_port is not None:
        settings.metrics = settings.metrics.on_port(metrics_port)
    if console and sink:
        raise ConfigError("--console prints the rows instead of writing them", "leave it or --sink out")
    chosen = find(job).with_sinks(*map(extensions.sink, sink or [])).with_parameters(**own_options(context))
    if mode is not None:
        chosen = chosen.in_mode(mode)
    if lookup is not None:
        if chosen.lookup is None:
            raise ConfigError(f"{chosen.name} joins no static table", "leave --lookup out")
        TextInput(lookup, "--lookup", pipes=False)  # a missing file is an error before the services are asked
    inputs = Inputs(sample, topic, files, socket, files_per_batch, start)
    interval = None if trigger is None else parse_duration(trigger, "--trigger")
    if real_time:
        from stack.real_time import entered, start_again
        from streaming.real_time.suits import TRIGGER, require, require_length

        interval = TRIGGER if interval is None else interval
        require(chosen, once=once or sample, console=console, from_topic=files is None and socket is None)
        require_length(interval)
        if not entered():
            start_again(settings, lambda line: say(line, err=True))
    source = inputs.source(settings, chosen)
    options = Options(
        trigger=chosen.trigger if interval is None else interval,
        once=once or sample,
        real_time=real_time,
        checkpoint=checkpoint or str(inputs.checkpoint(settings, chosen, source)),
        source=source,
        sinks=(ConsoleSink(),) if console or not chosen.sinks else None,
        lookup=None if lookup is None else str(lookup),
    )
    out = Terminal()
    readable = Listener(
        batch=lambda report: out.print(str(report)),
        notice=lambda line: out.print(line, style="yellow"),
    )
    lines = json_lines(chosen.name, sys.stdout) if settings.log.format == "json" else nullcontext(readable)
    with stop_requested() as stopping, lines as listener:
        launch(settings, chosen, options, master=master, listener=listener, stopping=stopping, serve=True)
