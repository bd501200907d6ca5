"""A file of Kafka's acknowledgements: a line per record with topic, partition, offset and the value's CRC-32.

`adstream verify ad-metrics --acknowledged FILE` looks up each record in the topic.
"""

import time
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from confluent_kafka import Message

from common.errors import AdstreamError, BadInput

# At most this many acknowledgements may be lost when the producer is killed: received, but not yet in the file.
_MOST_LINES = 1_000
_MOST_SECONDS = 1.0


class Acknowledged:
    """Appends to `path`. Raises BadInput if that cannot be written, once: then it takes no more acknowledgements."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        try:
            self._file: TextIO = path.open("a", encoding="ascii")
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}", "name another file") from None
        self._lines: list[str] = []
        self._clock = clock
        self._written = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the file. The error that has ended a run stays the one to show."""
        with suppress(BadInput) if isinstance(error, AdstreamError) else nullcontext():
            self.close()

    def add(self, message: Message) -> None:
        if self._file.closed:
            return
        checksum = zlib.crc32(message.value() or b"")
        self._lines.append(f"{message.topic()} {message.partition()} {message.offset()} {checksum:08x}\n")
        if len(self._lines) >= _MOST_LINES or self._clock() - self._written >= _MOST_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the lines to the operating system, which keeps them if the process dies."""
        try:
            self._append("".join(self._lines))
        except OSError as error:
            with suppress(OSError):  # what did not fit is written once more
                self._file.close()
            raise BadInput(
                f"{self._path} cannot be written: {error.strerror}",
                "make room and name a new file: this one lacks the newest acknowledgements",
            ) from None
        self._lines.clear()
        self._written = self._clock()

    def close(self) -> None:
        if not self._file.closed:
            self.write()
            self._file.close()

    def _append(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
