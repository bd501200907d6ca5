"""`adstream archive TOPIC FOLDER`: a topic's messages kept as Parquet, for later than Kafka keeps them."""

from typing import Annotated

import typer

from adstream.commands import completion
from common.settings import Settings
from common.text.progress_line import Working
from common.text.terminal import Terminal


def archive(
    topic: Annotated[str, typer.Argument(help="The topic whose messages to keep.", autocompletion=completion.topics)],
    folder: Annotated[str, typer.Argument(help="Where: one folder per day of broker time, as Parquet.")],
) -> None:
    """Append a topic's messages unchanged to an archive, from its end; a second run adds nothing twice.

    Example: `adstream archive ads_data archives/ads_data`
    """
    from common.kafka import require_topic
    from streaming.history.archive import Archive
    from streaming.launch import absolute
    from streaming.spark.session import one_attempt, spark_session

    settings, name, what = Settings(), f"archive-{topic}", f"archiving {topic}"
    require_topic(settings, topic)
    out = Terminal()
    out.print(f"starting Spark for the archive of {topic}")
    place = absolute(folder)
    with (
        spark_session(settings, name, places=[place]) as spark,
        Working(what),
        one_attempt(settings, name, what),
    ):
        done = Archive(spark, place).extend(settings, topic, out.print)
    out.print(f"{done.written:,} messages added to {folder}, which holds {done.before + done.written:,} now")
