"""The first and last offsets of a topic's partitions, and the offset of a moment."""

import time
from datetime import datetime
from typing import Any

from confluent_kafka import IsolationLevel as BrokersLevel
from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec

from common.kafka.admin import TOPIC_POLL_SECONDS, Admin
from common.kafka.errors import NoLeader
from common.kafka.topics import require_by
from common.settings import READ_COMMITTED, READ_UNCOMMITTED, IsolationLevel, Settings
from common.text.moments import to_millis


def begin_offsets(settings: Settings, name: str) -> dict[int, int]:
    """Return the first offset still kept, by partition. Raises TopicNotFound."""
    return _offsets(_listed(settings, name, OffsetSpec.earliest()))


def end_offsets(
    settings: Settings, name: str, level: IsolationLevel | None = None, admin: Admin | None = None
) -> dict[int, int]:
    """Return the end of a reader's messages, by partition. Without `level` the isolation level is the settings'.

    With `read_uncommitted` the end is the high watermark: the offset that the next record will get. With
    `read_committed` it is the last stable offset: the start of the first open transaction. Without an open transaction
    both are the same. Raises TopicNotFound.
    """
    return _offsets(_listed(settings, name, OffsetSpec.latest(), level, admin))


def leader_epochs(settings: Settings, name: str, admin: Admin | None = None) -> dict[int, int]:
    """Return the number of the present leader, by partition. It grows with each new leader, and each start of one.

    Raises TopicNotFound.
    """
    return {partition: epoch for partition, (_end, epoch) in leader_ends(settings, name, admin).items()}


def leader_ends(settings: Settings, name: str, admin: Admin | None = None) -> dict[int, tuple[int, int]]:
    """Return where each partition ends now, and the number of its leader. Raises TopicNotFound."""
    found = _listed(settings, name, OffsetSpec.latest(), READ_UNCOMMITTED, admin)
    return {partition: (end, epoch) for partition, (end, epoch) in found.items() if epoch is not None}


def offsets_at(settings: Settings, name: str, moment: datetime) -> dict[int, int]:
    """Return the first offset with this broker time or a later one, by partition; the end if there is none."""
    ends = end_offsets(settings, name)
    found = _offsets(_listed(settings, name, OffsetSpec.for_timestamp(to_millis(moment))))
    return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}


def _offsets(listed: dict[int, tuple[int, int | None]]) -> dict[int, int]:
    return {partition: offset for partition, (offset, _epoch) in listed.items()}


def _listed(
    settings: Settings,
    name: str,
    spec: OffsetSpec,
    level: IsolationLevel | None = None,
    admin: Admin | None = None,
) -> dict[int, tuple[int, int | None]]:
    """Return the offset and its leader epoch, by partition."""
    admin = admin or Admin(settings.kafka)
    partitions = require_by(settings, admin, name).partitions
    wanted = {TopicPartition(name, partition): spec for partition in partitions}
    committed = (level or settings.kafka.isolation_level) == READ_COMMITTED
    end = time.monotonic() + settings.kafka.timeout_seconds
    while True:
        futures = admin.client.list_offsets(
            wanted,
            isolation_level=BrokersLevel.READ_COMMITTED if committed else BrokersLevel.READ_UNCOMMITTED,
            request_timeout=settings.kafka.timeout_seconds,
        )
        try:
            found = {at.partition: admin.result(future) for at, future in futures.items()}
        except NoLeader:
            if time.monotonic() >= end:
                raise
            time.sleep(TOPIC_POLL_SECONDS)
        else:
            # The types of the client do not know these fields.
            infos: list[tuple[int, Any]] = sorted(found.items())
            return {partition: (info.offset, info.leader_epoch) for partition, info in infos}
