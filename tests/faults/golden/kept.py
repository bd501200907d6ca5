"""The topic and the totals that golden checkpoints and their test share."""

from common.cassandra.session import connect
from common.settings import Settings

TOPIC = "golden-ads"


def totals(settings: Settings) -> dict[str, list[str]]:
    """Return the rows of `ad_metrics` as ad -> clicks, views and cost, all as text."""
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        rows = session.execute("SELECT ad_id, total_clicks, total_views, total_cost FROM ad_metrics")
        return {row[0]: [str(value) for value in row[1:]] for row in rows}
