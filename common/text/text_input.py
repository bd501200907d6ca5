"""A user's text file that is read more than once: a plain file, a compressed one, or a pipe.

A pipe (`<(command)`, /dev/stdin, a FIFO) delivers its bytes once, so its bytes go to a temporary file first. Ctrl-C and
SIGTERM end the wait for a writer. During this wait no lock is held and nothing is sent.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import select
import stat
import tempfile
import weakref
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from common.errors import BadInput

LONGEST_LINE = 1 << 20
MOST_PIPED = 2 << 30
_PIECE = 1 << 20
_SLOW_SECONDS = 5

_UNPACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_REFUSED = {
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard",
    b"\x04\x22\x4d\x18": "is compressed with LZ4",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet",
    b"PAR1": "is a Parquet file",
    b"\x1f\x9d": "is compressed with compress",
    codecs.BOM_UTF32_LE: "is UTF-32 text",
    codecs.BOM_UTF32_BE: "is UTF-32 text",
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


class TextInput:
    """The text of `path`: UTF-8, also behind a byte order mark, or UTF-16 with one; gzip, bzip2 and xz are unpacked.

    Raises BadInput for an unreadable file, in one line about the `option` that named the file. `notice` hears when a
    pipe stays silent. Without `pipes`, pipes are refused: a caller with its own signal handling cannot wait here.
    """

    def __init__(
        self, path: Path, option: str, notice: Callable[[str], None] = lambda _line: None, *, pipes: bool = True
    ) -> None:
        self.path = path
        self._option = option
        self._pipes = pipes
        try:
            self._file = self._kept(notice)
        except OSError as error:
            raise self._unreadable(error) from None
        weakref.finalize(self, os.close, self._file)
        self._version = self._stat()

    def lines(self) -> Generator[str, None, None]:
        """Yield the lines from the first one on, with their ends. Only one iterator at a time; close it in the end."""
        number = 0
        try:
            with self._unpacked() as file, self._text(file) as text:
                while line := text.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE:
                        raise BadInput(
                            f"{self.path} line {number} is longer than {LONGEST_LINE:,} characters",
                            "check that it is a text file with a row a line",
                        )
                    yield line
        except UnicodeDecodeError as error:
            raise self._no_text(error.encoding) from None
        except _BROKEN as error:
            raise BadInput(f"{self.path} is damaged: {error}", "make the compressed file again") from None
        except OSError as error:
            raise self._unreadable(error) from None

    def require_unchanged(self) -> None:
        """Raise BadInput if somebody has written into the file since it was opened."""
        if self._stat() != self._version:
            raise BadInput(f"{self.path} changed while it was read", "wait until it is complete, and give it again")

    def _stat(self) -> tuple[int, int]:
        now = os.fstat(self._file)
        return now.st_size, now.st_mtime_ns

    def _kept(self, notice: Callable[[str], None]) -> int:
        """Return a descriptor that can be read again."""
        # Without waiting: otherwise opening a FIFO blocks until somebody writes into it.
        opened = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(opened).st_mode
        if stat.S_ISREG(mode):
            return opened
        try:
            if stat.S_ISDIR(mode):
                raise BadInput(f"{self.path} is a folder", f"give a file to {self._option}")
            if not self._pipes:
                raise BadInput(
                    f"{self.path} is not a regular file", f"write it into a file, and give that to {self._option}"
                )
            with tempfile.TemporaryFile(buffering=0) as file:
                self._copy(opened, file, notice)
                return os.dup(file.fileno())
        finally:
            os.close(opened)

    def _copy(self, opened: int, file: IO[bytes], notice: Callable[[str], None]) -> None:
        ready = select.poll()
        ready.register(opened, select.POLLIN)
        told = False
        while True:
            # Always with a timeout: without one, a signal just before the wait would be noticed only after it.
            if not ready.poll(_SLOW_SECONDS * 1_000):
                if not told:
                    notice(f"waiting for somebody to write into {self.path}; Ctrl-C ends the wait")
                told = True
                continue
            piece = os.read(opened, _PIECE)
            if not piece:
                return
            try:
                left = memoryview(piece)
                while left:
                    left = left[file.write(left) :]
            except OSError as error:
                problem = f"what comes through {self.path} cannot be kept in {tempfile.gettempdir()}: {error.strerror}"
                raise BadInput(problem, "write it into a file, and give that") from None
            if file.tell() > MOST_PIPED:
                raise BadInput(
                    f"more than {MOST_PIPED >> 30} GiB came through {self.path}", "write it into a file, and give that"
                )

    @contextmanager
    def _unpacked(self) -> Iterator[IO[bytes]]:
        os.lseek(self._file, 0, os.SEEK_SET)
        start = os.pread(self._file, 6, 0)
        for magic, what in _REFUSED.items():
            if start.startswith(magic):
                raise BadInput(f"{self.path} {what}", "make it a text file in UTF-8 (it may be compressed with gzip)")
        unpack = next((unpack for magic, unpack in _UNPACKED.items() if start.startswith(magic)), None)
        with os.fdopen(os.dup(self._file), "rb") as file:
            if unpack is None:
                yield file
            else:
                with unpack(file) as unpacked:
                    yield unpacked

    def _text(self, file: IO[bytes]) -> io.TextIOWrapper:
        start = file.peek(2)  # type: ignore[attr-defined]
        return io.TextIOWrapper(file, encoding="utf-16" if start.startswith(_UTF16) else "utf-8-sig", newline="")

    def _no_text(self, encoding: str) -> BadInput:
        if encoding.startswith("utf-16"):
            return BadInput(f"{self.path} is not whole UTF-16 text", "save it again, as UTF-8")
        number, decoder = 1, codecs.getincrementaldecoder("utf-8")()
        with self._unpacked() as file, suppress(UnicodeDecodeError):
            while piece := file.readline(LONGEST_LINE):
                decoder.decode(piece)
                number += piece.endswith(b"\n")
        return BadInput(f"{self.path} line {number} is not UTF-8 text", "save it as UTF-8")

    def _unreadable(self, error: OSError) -> BadInput:
        problem = f"{self.path} cannot be read: {error.strerror or error}"
        return BadInput(problem, f"check the path given to {self._option}")
