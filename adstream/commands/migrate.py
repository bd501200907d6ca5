"""`adstream migrate`: the keyspace and its tables, made or brought up to date."""

from common.settings import Settings
from common.text.progress_line import Working
from common.text.terminal import Terminal, parts


def migrate() -> None:
    """Make the keyspace and its tables, or bring them up to date. Safe to run at any time.

    Example: `adstream migrate`
    """
    from common.cassandra import migrations

    settings = Settings()
    console = Terminal(soft_wrap=True)
    console.print(f"keyspace {settings.cassandra.keyspace} in {settings.cassandra.where}")
    with Working("bringing the tables up to date"):
        applied = migrations.migrate(settings, report=console.print)
    for migration in applied:
        what = ("applied", "green") if migration.new else "already there"
        console.print(parts(f"{migration.version:03}_{migration.name}  ", what))
    console.print(f"keyspace {settings.cassandra.keyspace} is up to date")
