"""A file of Kafka's acknowledgements: a line per record with topic, partition, offset and the value's CRC-32.

`adstream verify ad-metrics --acknowledged FILE` looks up each record in the topic.
"""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from confluent_kafka import Message

from common.errors import BadInput

# At most this many acknowledgements may be lost when the producer is killed: received, but not yet in the file.
_MOST_LINES = 1_000
_MOST_SECONDS = 1.0


class Acknowledged:
    """Appends to `path`. Raises BadInput if that cannot be written."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            self._file: TextIO = path.open("a", encoding="ascii")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}", "name another file") from None
        self._lines: list[str] = []
        self._clock = clock
        self._written = clock()

    def add(self, message: Message) -> None:
        checksum = zlib.crc32(message.value() or b"")
        self._lines.append(f"{message.topic()} {message.partition()} {message.offset()} {checksum:08x}\n")
        if len(self._lines) >= _MOST_LINES or self._clock() - self._written >= _MOST_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the lines to the operating system, which keeps them if the process dies."""
        self._file.write("".join(self._lines))
        self._file.flush()
        self._lines.clear()
        self._written = self._clock()

    def close(self) -> None:
        self.write()
        self._file.close()
