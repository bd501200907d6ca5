"""`adstream apply JOB`: rows of real-time mode from their topic into the tables."""

import sys
from typing import Annotated, Literal

import typer

from adstream.commands import completion
from common.errors import ConfigError
from common.settings import Settings
from common.system.stopping import stop_requested
from common.text.terminal import Terminal


def apply(
    job: Annotated[
        str, typer.Argument(help="The job, as `adstream jobs` lists it.", autocompletion=completion.streams)
    ],
    once: Annotated[bool, typer.Option("--once", help="Apply the topic's present rows, then stop.")] = False,
    start: Annotated[
        Literal["committed", "earliest"],
        typer.Option(
            "--from", help="Where to begin: after the applied rows, or with all rows that the topic still holds."
        ),
    ] = "committed",
    skip: Annotated[
        list[str] | None,
        typer.Option(help="Leave out the message at TOPIC/PARTITION/OFFSET, which is not a row; may be repeated."),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(help="A fixed name in the group: a process that restarts within 10 s keeps its partitions."),
    ] = None,
    until_input_ends: Annotated[
        bool,
        typer.Option(
            "--until-input-ends", help="When standard input closes, apply the topic's present rows, then stop."
        ),
    ] = False,
    log_format: Annotated[
        Literal["text", "json"] | None, typer.Option(help="text, or json: an object a line, every second.")
    ] = None,
    metrics_port: Annotated[
        str | None, typer.Option(help="Port of /metrics, /health, /ready and /progress; 0 is a free one, or off.")
    ] = None,
) -> None:
    """Write the rows of a real-time job from its updates topic into its tables. Several share the partitions.

    Ctrl-C and SIGTERM stop it after the rows that it has read. Started again it goes on where it was.

    Example: `adstream apply ad-metrics`

    Example: `adstream apply ad-metrics --once`
    """
    from streaming.apply.process import ApplyOptions, apply_updates
    from streaming.jobs import find

    settings = Settings()
    if log_format is not None:
        settings.log = settings.log.model_copy(update={"format": log_format})
    if metrics_port is not None:
        settings.metrics = settings.metrics.on_port(metrics_port)
    options = ApplyOptions(
        once=once,
        input_ends=until_input_ends,
        anew=start == "earliest",
        skipped=tuple(_place(each) for each in skip or ()),
        member=member,
    )
    out = Terminal()
    with stop_requested() as stopping:
        apply_updates(
            settings,
            find(job),
            options,
            stopping=stopping,
            say=lambda line: out.print(line),
            out=sys.stdout if settings.log.format == "json" else None,
        )


def _place(text: str) -> tuple[str, int, int]:
    topic, *numbers = text.rsplit("/", 2)
    if not topic or len(numbers) != 2 or not all(each.isascii() and each.isdigit() for each in numbers):
        raise ConfigError(
            f"--skip {text} is not the place of a message", "give TOPIC/PARTITION/OFFSET, for example a/0/17"
        )
    return topic, int(numbers[0]), int(numbers[1])
