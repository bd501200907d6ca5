"""Find the messages that can be read again, in Kafka or in an archive, and whether they suffice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from common import kafka
from common.errors import BadInput
from common.settings import Settings
from common.text.moments import from_millis
from streaming.sources import topic_range

# Partition -> [first offset, end offset).
Ranges = dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Kept:
    """One partition: offsets [begin, end) are kept; their messages have broker times in [since, until)."""

    begin: int
    end: int
    since: int
    until: int


class Messages(Protocol):
    """A place that keeps a topic's messages, with Kafka's own columns."""

    @property
    def name(self) -> str: ...

    def kept(self, since: datetime, until: datetime) -> dict[int, Kept]: ...

    def read(self, ranges: Ranges) -> DataFrame: ...


@dataclass(frozen=True)
class InKafka:
    """The messages that the topic itself still holds."""

    spark: SparkSession
    settings: Settings
    topic: str

    @property
    def name(self) -> str:
        return f"topic {self.topic}"

    def kept(self, since: datetime, until: datetime) -> dict[int, Kept]:
        begin, end = kafka.begin_offsets(self.settings, self.topic), kafka.end_offsets(self.settings, self.topic)
        first, last = (kafka.offsets_at(self.settings, self.topic, each) for each in (since, until))
        if kafka.stamped_by_producers(self.settings, [self.topic])[self.topic] is not False:
            # Older messages may follow the first younger one. The broker always stamps a transaction's mark, which may
            # then be the younger one.
            last = end
        return {
            partition: Kept(begin[partition], end[partition], first[partition], last[partition]) for partition in end
        }

    def read(self, ranges: Ranges) -> DataFrame:
        return topic_range(self.spark, self.settings.kafka, self.topic, ranges)


def needed(kept: Mapping[int, Kept], first: Mapping[int, int], committed: Mapping[int, int], *, whole: bool) -> Ranges:
    """Return the offsets to read: from `since` to `until`, none before the job's `first`, only `committed` ones.

    With `whole`, read to the end of the committed offsets, because late events arrive at any time. Empty ranges are
    left out. `require_all` checks that all ranges still exist.
    """
    ranges = {}
    for partition, end in committed.items():
        has = kept.get(partition, Kept(0, 0, 0, 0))
        start = max(has.since, first.get(partition, 0))
        stop = end if whole or has.until >= has.end else min(end, has.until)
        if start < stop:
            ranges[partition] = (start, stop)
    return ranges


def lost(kept: Mapping[int, Kept], first: Mapping[int, int], committed: Mapping[int, int]) -> list[int]:
    """Return partitions without their messages before `begin`, which the job has read and a backfill may need."""
    return [
        partition
        for partition, has in sorted(kept.items())
        if committed.get(partition, 0) > first.get(partition, 0) < has.begin and has.since <= has.begin
    ]


def require_all(place: Messages, kept: Mapping[int, Kept], ranges: Ranges, gone: list[int], since: datetime) -> None:
    """Raise BadInput if messages of the ranges, or from `since` on, are missing."""
    if gone:
        partition = gone[0]
        has = kept[partition]
        if has.begin < has.end:
            oldest = place.read({partition: (has.begin, has.begin + 1)}).agg(F.min(F.unix_millis("timestamp"))).first()
            # The offset of a transaction's end mark holds no message.
            since_when = f", from {moment(oldest[0])} on" if oldest and oldest[0] is not None else ""
            held = f"holds offsets {has.begin:,} to {has.end - 1:,}{since_when}"
        else:
            held = "holds nothing any more"
        raise BadInput(
            f"{place.name} has aged out: messages from {moment(int(since.timestamp() * 1_000))} on are needed, but"
            f" partition {partition} {held}",
            "begin later, or read an archive that is older: --archive FOLDER (`adstream archive` writes one)",
        )
    for partition, (_, stop) in sorted(ranges.items()):
        end = kept[partition].end if partition in kept else 0
        if end < stop:
            raise BadInput(
                f"{place.name} ends at offset {end:,} of partition {partition}, but messages up to {stop:,} are needed",
                "run `adstream archive` again, or leave --archive out",
            )


def moment(millis: int) -> str:
    """Write a time in UTC for people, or the number itself if it is outside of the calendar."""
    found = from_millis(millis)
    return f"{found:%Y-%m-%dT%H:%M:%SZ}" if found else f"{millis} ms since 1970"
