"""`adstream demo`: the whole pipeline once, on real services."""

from typing import Annotated

import typer

from common.text.terminal import Terminal


def demo(
    events: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many events to produce.")] = 20_000,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard/--no-dashboard", help="Start the dashboard too; it stays up, like the services."),
    ] = True,
) -> None:
    """From nothing to ad_metrics in cqlsh: start the services, produce, stream, show, verify. The services stay up.

    Example: `adstream demo --events 20000`
    """
    from adstream.demo import Demo

    Demo(Terminal(), events, dashboard=dashboard).run()
