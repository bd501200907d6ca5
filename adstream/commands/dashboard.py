"""`adstream dashboard`: the tables and the jobs' health in a browser."""

from typing import Annotated

import typer

from common.text.shown import say


def dashboard(
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="The port; 0 means any free one. Default: 8501 if free, else another one."
        ),
    ] = None,
) -> None:
    """Show ads, pipeline, sensors, sales and racks in a browser on this machine, and keep them up to date.

    Example: `adstream dashboard`

    Example: `adstream dashboard --port 9000`
    """
    from adstream.dashboard import server
    from common.settings import Settings
    from stack.dashboard_port import choose_port

    _ = Settings().cassandra, Settings().kafka  # an unusable setting is reported here, and not on a page
    server.serve(choose_port(port), say)
