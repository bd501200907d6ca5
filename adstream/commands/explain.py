"""`adstream explain JOB`: draw a job from its topic to its tables, without starting anything."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.commands import completion
from adstream.commands.flow_pages import as_mermaid, as_text, in_ascii
from common.errors import ConfigError
from common.settings import Settings
from common.text.nearest import did_you_mean
from common.text.shown import say
from common.text.terminal import Terminal

if TYPE_CHECKING:
    from streaming.flow import Flow

_WIDEST = 100


class Format(StrEnum):
    """The form of the drawing."""

    text = "text"
    mermaid = "mermaid"


def explain(
    job: Annotated[str, typer.Argument(help="The job, as `adstream jobs` lists it.", autocompletion=completion.jobs)],
    format: Annotated[  # noqa: A002 - the option's name
        Format, typer.Option(help="text to read, or mermaid for a page that draws the diagram.")
    ] = Format.text,
) -> None:
    """Draw a job: topic, contract, dead letters, late events, windows, watermark, state, output and tables.

    The command starts no Spark and asks no service. Names and limits come from the settings, other values from the job.

    Example: `adstream explain ad-metrics`

    Example: `adstream explain user-sessions --format mermaid`
    """
    flow = _flow(job, Settings())
    if format is Format.mermaid:
        for line in as_mermaid(flow):
            say(line)
        return
    out = Terminal()
    for drawn in as_text(flow, min(out.width, _WIDEST) if out.is_terminal else _WIDEST):
        out.print(in_ascii(drawn) if out.options.ascii_only else drawn)


def _flow(name: str, settings: Settings) -> "Flow":
    from streaming import flow
    from streaming.iceberg.daily_jobs import BATCH_JOBS
    from streaming.jobs import JOBS

    if name in JOBS:
        return flow.of_job(JOBS[name], settings)
    if name in BATCH_JOBS:
        return flow.of_batch(BATCH_JOBS[name], settings)
    known = [*JOBS, *BATCH_JOBS]
    raise ConfigError(f"there is no job {name}", did_you_mean(name, known, "`adstream jobs` lists them"))
