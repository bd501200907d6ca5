"""Records as files of JSON lines in a folder, for jobs that read files. This needs neither Kafka nor a registry.

An incomplete file has a name that begins with a dot, which readers ignore. So a reader of the folder never sees half a
file.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from common.errors import BadInput
from producer.records import Record
from producer.samples import Event

MOST_EVENTS = 1_000
LONGEST_OPEN_SECONDS = 5.0  # at a low rate readers should not wait for the thousandth event


class JsonFiles:
    """Writes up to 1,000 events to a file, and does not keep one open for long; `flush` ends it at once.

    A name is `<name>-<start of this run, UTC>-<4 hex digits>-<number>.json`. So no run overwrites another's file, and
    names sort in the order of writing. Raises BadInput for a folder that cannot be made or written. `acknowledged` are
    the events in complete files.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        encode: Callable[[Event], bytes],
        longest_open_seconds: float = LONGEST_OPEN_SECONDS,
    ) -> None:
        self.folder = folder
        self.sent = 0
        self.acknowledged = 0
        self.files = 0
        self.kinds: Counter[str] = Counter()
        self._encode = encode
        self._longest_open_seconds = longest_open_seconds
        self._run = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"
        self._open: BinaryIO | None = None
        self._opened = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(error) from None

    @property
    def done(self) -> str:
        """Return a text about the records, to follow their number."""
        return f"written to {self.folder}, in {self.files:,} file{'s' if self.files != 1 else ''}"

    def send(self, record: Record) -> None:
        """Write one record."""
        line = self._encode(record.event) + b"\n"
        try:
            if self._open is None:
                self._open, self._opened = self._hidden.open("wb"), time.monotonic()
            self._open.write(line)
        except OSError as error:
            self.abandon()
            raise self._failed(error) from None
        self.sent += 1
        self.kinds[record.kind] += 1
        if self.sent - self.acknowledged == MOST_EVENTS:
            self.flush()

    def serve(self, seconds: float) -> None:
        """Wait this many seconds; first end a file that has been open for long enough."""
        if self._open is not None and time.monotonic() - self._opened >= self._longest_open_seconds:
            self.flush()
        time.sleep(seconds)

    def flush(self) -> None:
        """End the open file, if there is one: now readers see it."""
        if self._open is None:
            return
        try:
            self._open.close()
            self._hidden.rename(self.folder / self._name)
        except OSError as error:
            self.abandon()
            raise self._failed(error) from None
        self._open = None
        self.files += 1
        self.acknowledged = self.sent

    def abandon(self) -> None:
        """Drop the open file."""
        if self._open is not None:
            with suppress(OSError):  # a full disk refuses the rest of the buffer, but the file is closed
                self._open.close()
            self._open = None
            self._hidden.unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        return f"{self._run}-{self.files + 1:06}.json"

    @property
    def _hidden(self) -> Path:
        return self.folder / f".{self._name}"

    def _failed(self, error: OSError) -> BadInput:
        return BadInput(f"{self.folder} cannot be written: {error.strerror}", "check the folder given to --files")
