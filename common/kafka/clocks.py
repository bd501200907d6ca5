"""The clock that stamps the arrival of a message, and so decides lateness: the broker's, or the producers'."""

from collections.abc import Iterable

from common import kafka
from common.settings import Settings

REMEDY = "set message.timestamp.type=LogAppendTime on it (docs/late-events.md)"


def producers_clock(topic: str) -> str:
    """Return one line about a topic with CreateTime."""
    return f"{topic} has CreateTime: what is late or ahead goes by the producers' clocks, not by the broker's; {REMEDY}"


def told(settings: Settings, topic: str) -> list[str]:
    """Return the line that a job or a check over `topic` prints about clocks; empty if the broker's clock decides."""
    stamped = kafka.stamped_by_producers(settings, [topic])[topic]
    if stamped is None:
        return [f"whose clock stamps {topic} is not known: Kafka does not tell this user its configuration"]
    return [producers_clock(topic)] if stamped else []


def by_topic(settings: Settings, topics: Iterable[str]) -> dict[str, bool | None]:
    """Return the answer of kafka.stamped_by_producers for the topics that exist."""
    there = kafka.topic_names(settings)
    return kafka.stamped_by_producers(settings, sorted({*topics} & {*there}))
