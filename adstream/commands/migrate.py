"""`adstream migrate`: the keyspace and its tables, made or brought up to date."""

from rich.console import Console

from adstream.live import Working
from adstream.settings import Settings


def migrate() -> None:
    """Make the keyspace and its tables, or bring them up to date. Safe to run at any time.

    Example: `adstream migrate`
    """
    from adstream import migrations

    settings = Settings()
    console = Console(highlight=False)
    with Working("bringing the tables up to date"):
        applied = migrations.migrate(settings, report=console.print)
    for migration in applied:
        what = "[green]applied[/green]" if migration.new else "already there"
        console.print(f"{migration.version:03}_{migration.name}  {what}")
    console.print(f"keyspace {settings.cassandra.keyspace} is up to date")
