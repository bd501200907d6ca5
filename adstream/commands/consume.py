"""`adstream consume TOPIC`: show the messages of a topic."""

import os
import sys
from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from adstream.commands import completion
from common.errors import ConfigError
from common.settings import READ_COMMITTED, Settings
from common.system.stopping import stop_requested
from common.text.shown import say


class OffsetReset(StrEnum):
    """Where to start if the group has committed nothing."""

    earliest = "earliest"
    latest = "latest"


def _say_what_waits(settings: Settings, topic: str) -> None:
    """Say how many messages open transactions hold back behind the end of the topic."""
    from common.kafka.topic_ends import TopicEnds, held_back

    if settings.kafka.isolation_level == READ_COMMITTED and (count := held_back(TopicEnds(settings, topic)())):
        say(f"{count:,} messages of {topic} are held back by open transactions", err=True)


def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.", autocompletion=completion.topics)],
    group: Annotated[
        str | None, typer.Option(help="Read as a member of this consumer group, from its committed offsets.")
    ] = None,
    offset_reset: Annotated[
        OffsetReset, typer.Option(help="Where to start without a group, or if the group has committed nothing.")
    ] = OffsetReset.earliest,
    count: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many messages. Default: wait for more.")
    ] = None,
    to_end: Annotated[bool, typer.Option("--to-end", help="Stop at the end of the topic.")] = False,
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit the offsets of the shown messages to --group.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One strict JSON object per line.")] = False,
) -> None:
    """Show key, decoded value, partition, offset and schema id of every message, the broken ones with their bytes.

    Nothing is committed unless asked for. Ctrl-C ends it.

    Example: `adstream consume ads_data --count 10`

    Example: `adstream consume ads_data --to-end --json | jq .value.cost`
    """
    from common.registry import RegistryClient
    from consumer import display
    from consumer.debug import DebugConsumer
    from consumer.decoding import Decoder

    if commit and group is None:
        raise ConfigError("--commit needs --group", "say which consumer group the offsets belong to")
    settings = Settings()
    decode = Decoder(RegistryClient(settings.registry))
    consumer = DebugConsumer(settings, topic, group=group, from_start=offset_reset is OffsetReset.earliest)
    line_of = display.as_json if as_json else display.as_text
    with stop_requested() as stop, closing(consumer):
        try:
            left = count
            for batch in consumer.batches(stop, to_end=to_end):
                for message in batch[:left]:
                    say(line_of(message, decode(message.value(), message.headers() or [])))
                    consumer.shown(message)
                sys.stdout.flush()
                if commit:
                    consumer.commit()
                if left is not None:
                    left -= len(batch[:left])
                if left == 0:
                    break
            if commit:
                consumer.commit(now=True)
            if to_end and left != 0 and not stop.is_set():
                _say_what_waits(settings, topic)
        except BrokenPipeError:
            # The reader has enough (`| head`). Discard the output that Python would still flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
