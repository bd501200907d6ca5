"""A job's checkpoint folder: the job, topic and options that it belongs to, and the offsets of each batch.

State fits only the plan that wrote it, and offsets only the topic that they were read from. So a new checkpoint records
both, and every start compares them: no other job, topic or option continues it. Files are accessed through Hadoop's
file system, so the folder may be local, on HDFS or in S3.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession

from common.errors import CheckpointError
from common.system.checkpoint_folders import RECORD
from common.system.file_lock import Held, locked
from common.text.durations import duration_text
from streaming.recovery.causes import first_cause, told_as

_LOCK = "adstream.lock"
_ID = "id"
_ASIDE = "set-aside"
# The option that records a checkpoint's mode: micro-batches or real time.
REAL_TIME = "real_time"
_SECONDS = "_seconds"


@contextmanager
def held(path: str) -> Iterator[None]:
    """Keep other drivers of this machine away from a local checkpoint.

    Elsewhere Spark notices them, a batch later. Raises CheckpointError if another driver holds it.
    """
    if "://" in path:
        yield
        return
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(Path(path) / _LOCK))
        except OSError as refused:
            raise CheckpointError(
                f"checkpoint {path} cannot be written: {refused.strerror}",
                "correct its permissions, or give another one",
            ) from None
        except Held as taken:
            raise CheckpointError(
                f"another driver, process {taken.holder}, runs on checkpoint {path}", "stop it first"
            ) from None
        yield


def first_use(place: str) -> AbstractContextManager[None]:
    """Raise CheckpointError in place of an error of the file system that holds `place`.

    This is for the first use of a folder, when its address may be wrong. Later the same error may pass, and the job
    tries again.
    """
    remedy = "correct its address or its permissions, or give Spark the jars of its file system"
    return told_as(lambda cause: CheckpointError(f"{place} cannot be used: {cause}", remedy))


class Checkpoint:
    """One checkpoint folder. `path` is a local path or any URI that the session's Hadoop can write."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.path = path
        self._jvm: Any = spark.sparkContext._jvm  # PySpark's only access to Hadoop's file systems
        self._hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()

    def claim(
        self, fixed: dict[str, Any], kept: dict[str, Any] | None = None, unwritten: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write the options into a new checkpoint, or compare them with its recorded ones.

        Returns the `kept` options that differ, with the checkpoint's values, which apply. `unwritten` has values of
        options that earlier releases did not record. Raises CheckpointError if one of the `fixed` options differs, if
        another program made the folder's checkpoint, or if it is damaged.
        """
        found, kept = self._read(RECORD), kept or {}
        if found is None:
            if self.batches():
                raise CheckpointError(f"{self.path} is a checkpoint of unknown origin", "give another --checkpoint")
            self._write(RECORD, json.dumps({_ID: str(uuid4()), **fixed, **kept}, indent=2))
            return {}
        made_with = {**(unwritten or {}), **self._parsed(found)}
        for name, value in fixed.items():
            if made_with.get(name) != value:
                option, before, now = name.removesuffix(_SECONDS), made_with.get(name), _as_typed(name, value)
                raise CheckpointError(
                    f"checkpoint {self.path} was made with {option}={_as_typed(name, before)}, not {now}",
                    "keep what it was made with, or give another --checkpoint",
                )
        return {name: made_with[name] for name, value in kept.items() if made_with.get(name, value) != value}

    def require_mode(self, job: str, *, real_time: bool) -> None:
        """Raise CheckpointError if the checkpoint counts in the other mode: its state belongs to another plan."""
        text = self._read(RECORD)
        if text is None or bool(self._parsed(text).get(REAL_TIME)) is real_time:
            return
        mode, option = ("in micro-batches", "without") if real_time else ("in real time", "with")
        raise CheckpointError(
            f"checkpoint {self.path} counts {mode}",
            f"go on {option} --real-time, or begin anew with `adstream reset {job}`",
        )

    @property
    def id(self) -> str:
        """The checkpoint's id: the same for its whole life, also after a move; empty before it is claimed."""
        made_with = self._parsed(self._read(RECORD) or "{}")
        # A checkpoint from before checkpoints had an id uses Spark's id.
        return str(made_with.get(_ID) or json.loads(self._read("metadata") or "{}").get("id", ""))

    def require_whole(self) -> None:
        """Raise CheckpointError if one of the newest files that Spark would read first is damaged or missing.

        Spark's own error would not mention the checkpoint, or would blame another driver.
        """
        for batch_id in self._numbered("commits")[-1:]:
            self._read(f"commits/{batch_id}")
            if self._read(f"offsets/{batch_id}") is None:
                raise self.damaged(f"commits/{batch_id} is there, and offsets/{batch_id} is not")

    def batches(self) -> list[int]:
        """Return the batches that have begun, as far as the checkpoint still has them."""
        return self._numbered("offsets")

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            raise self.damaged(f"{RECORD} is not JSON") from None
        return found

    def damaged(self, what: str) -> CheckpointError:
        """Return the error for a checkpoint that cannot be trusted any more."""
        return CheckpointError(
            f"checkpoint {self.path} is damaged: {what}",
            "restore it from a backup, or begin anew with `adstream reset JOB`",
        )

    def made_with(self) -> dict[str, Any]:
        """Return the recorded options of the checkpoint. Raises CheckpointError if there are none."""
        found = self._read(RECORD)
        if found is None:
            raise CheckpointError(f"{self.path} is not a checkpoint of ours", "give the --checkpoint of the job")
        return self._parsed(found)

    def made_at(self) -> datetime:
        """Return the time at which the checkpoint was made, by the clock of its file system."""
        path = self._path(RECORD)
        millis = path.getFileSystem(self._hadoop).getFileStatus(path).getModificationTime()
        return datetime.fromtimestamp(millis / 1_000, UTC)

    def last_committed(self) -> int:
        """Return the newest committed batch. Raises CheckpointError if there is none."""
        batches = self._numbered("commits")
        if not batches:
            raise CheckpointError(f"{self.path} holds no committed batch", "let the job run first")
        return batches[-1]

    def first_offsets(self, topic: str) -> dict[int, int]:
        """Return the first offsets of a new checkpoint, by partition; partitions added later begin at 0."""
        return self._offsets("sources/0/0", topic) or {}

    def batch_offsets(self, topic: str, batch_id: int) -> dict[int, tuple[int, int]]:
        """Return partition -> [first offset, end offset) of a batch: Spark writes them down before the batch runs."""
        end = self._offsets(f"offsets/{batch_id}", topic)
        if end is None:
            raise CheckpointError(f"{self.path} does not hold the offsets of batch {batch_id}", "it may be damaged")
        before = self._offsets(f"offsets/{batch_id - 1}" if batch_id else "sources/0/0", topic) or {}
        return {partition: (before.get(partition, 0), stop) for partition, stop in end.items()}

    def running_offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return the same of the batch that has begun and is not committed; empty if there is none."""
        batches = self.batches()
        return self.batch_offsets(topic, batches[-1]) if batches and not self.is_committed(batches[-1]) else {}

    def next_offsets(self, topic: str) -> dict[int, int]:
        """Return partition -> the first uncounted offset; empty if no batch has begun."""
        batches = self.batches()
        if not batches:
            return {}
        offsets = self.batch_offsets(topic, batches[-1])
        done = self.is_committed(batches[-1])
        return {partition: end if done else begin for partition, (begin, end) in offsets.items()}

    def note(self, folder: str, text: str) -> None:
        """Keep one more text in a folder beside the checkpoint. The texts stay in order."""
        self._write(f"{folder}/{len(self._numbered(folder))}", text)

    def notes(self, folder: str) -> list[str]:
        """Return all texts that `note` has kept in the folder."""
        return [self._read(f"{folder}/{number}") or "[]" for number in self._numbered(folder)]

    def noted(self, folder: str) -> int:
        """Return how many texts `note` has kept in the folder."""
        return len(self._numbered(folder))

    def keep(self, folder: str, text: str) -> None:
        """Keep a text in a folder beside the checkpoint, in place of the one before. A crash leaves one of them."""
        before = self._numbered(folder)
        self._write(f"{folder}/{before[-1] + 1 if before else 0}", text)
        for number in before:
            self._remove(f"{folder}/{number}")

    def kept(self, folder: str) -> str | None:
        """Return the text that `keep` or `note` has kept last; None if there is none."""
        numbers = self._numbered(folder)
        return self._read(f"{folder}/{numbers[-1]}") if numbers else None

    def mark(self, folder: str, batch_id: int) -> None:
        """Note in a folder beside the checkpoint that a step was done up to this batch."""
        before = self._numbered(folder)
        if batch_id not in before:
            self._write(f"{folder}/{batch_id}", "")
        for number in before:
            if number != batch_id:
                self._remove(f"{folder}/{number}")

    def marked(self, folder: str) -> int | None:
        """Return the newest batch that `mark` has noted in the folder; None if there is none."""
        return max(self._numbered(folder), default=None)

    def committed_after(self, batch_id: int) -> list[int]:
        """Return the committed batches after this one, in order."""
        return [each for each in self._numbered("commits") if each > batch_id]

    def back_to(self, batch_id: int) -> None:
        """Remove all batches after this one, -1 for all. They run again, from the state after this batch.

        Raises CheckpointError if Spark has removed the files that the next batch begins with.
        """
        if batch_id >= 0 and not self.is_committed(batch_id):
            raise self.damaged(f"batch {batch_id} is missing, and the query must go back to it")
        for folder in ("commits", "offsets"):
            for number in reversed(self._numbered(folder)):
                if number > batch_id:
                    self._remove(f"{folder}/{number}")

    def set_aside(self, places: Iterable[tuple[int, int]]) -> None:
        """Remember (partition, offset) of messages that must not be read (streaming.recovery.quarantine)."""
        self.note(_ASIDE, json.dumps(list(places)))

    def places_set_aside(self) -> frozenset[tuple[int, int]]:
        """Return (partition, offset) of all messages set aside."""
        return frozenset((partition, offset) for text in self.notes(_ASIDE) for partition, offset in json.loads(text))

    def batch_files(self, batch_id: int) -> list[str]:
        """Return the files of a batch of a file source."""
        last, first = self._log_offset(batch_id), self._log_offset(batch_id - 1) + 1
        wanted = range(first, last + 1)
        entries = [entry for number in wanted for entry in self._logged_files(number)]
        return sorted({entry["path"] for entry in entries if entry["batchId"] in wanted})

    def late_before(self, batch_id: int) -> int:
        """Return the watermark (ms) below which Spark drops rows of a batch as late: the previous batch's."""
        text = self._read(f"offsets/{batch_id - 1}") if batch_id else None
        return int(json.loads(text.splitlines()[1])["batchWatermarkMs"]) if text else 0

    def is_committed(self, batch_id: int) -> bool:
        """Return whether Spark has committed the batch, so that it never runs again."""
        return self._exists(f"commits/{batch_id}")

    def _offsets(self, file: str, topic: str) -> dict[int, int] | None:
        text = self._read(file)
        if text is None:
            return None
        # A version line, an optional line of metadata, and last the offsets of the only source.
        try:
            by_topic = json.loads(text.strip().splitlines()[-1])
            return {int(partition): int(offset) for partition, offset in by_topic[topic].items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self.damaged(f"{file} holds no offsets of {topic}") from None

    def _log_offset(self, batch_id: int) -> int:
        text = self._read(f"offsets/{batch_id}") if batch_id >= 0 else None
        return int(json.loads(text.strip().splitlines()[-1])["logOffset"]) if text else -1

    def _logged_files(self, number: int) -> list[dict[str, Any]]:
        # After a number of logs Spark merges them into one, which then also lists the earlier batches' files.
        text = self._read(f"sources/0/{number}") or self._read(f"sources/0/{number}.compact") or ""
        return [json.loads(line) for line in text.splitlines()[1:]]

    def _numbered(self, folder: str) -> list[int]:
        path = self._path(folder)
        system = path.getFileSystem(self._hadoop)
        names = [file.getPath().getName() for file in system.listStatus(path)] if system.exists(path) else []
        return sorted(int(name) for name in names if name.isdigit())

    def _exists(self, file: str) -> bool:
        path = self._path(file)
        exists: bool = path.getFileSystem(self._hadoop).exists(path)
        return exists

    def _read(self, file: str) -> str | None:
        if not self._exists(file):
            return None
        path = self._path(file)
        try:
            stream = path.getFileSystem(self._hadoop).open(path)
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode()
            finally:
                stream.close()
        except (Py4JJavaError, UnicodeDecodeError) as error:
            # Hadoop keeps a checksum beside each local file. Any other error of a file system may pass.
            if isinstance(error, Py4JJavaError) and "ChecksumException" not in str(error):
                raise
            raise self.damaged(f"{file} cannot be read: {first_cause(error)}") from None

    def _write(self, file: str, text: str) -> None:
        """Write under another name first, so that an existing file is complete."""
        path, passing = self._path(file), self._path(f"{file}.{uuid4()}")
        system = path.getFileSystem(self._hadoop)
        stream = system.create(passing, False)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        system.rename(passing, path)

    def _remove(self, file: str) -> None:
        path = self._path(file)
        path.getFileSystem(self._hadoop).delete(path, False)

    def _path(self, file: str) -> Any:  # noqa: ANN401 - a Java object
        return self._jvm.org.apache.hadoop.fs.Path(f"{self.path}/{file}")


# Spark's and Hadoop's messages about a checkpoint file that is missing or changed.
_DAMAGE = (
    "CHECKPOINT_FILE_CHECKSUM_VERIFICATION_FAILED",
    "ChecksumException",
    "CANNOT_LOAD_STATE_STORE",
    "StreamMetadata",
    "Incomplete log file",
    "MalformedInputException",
    "JsonParseException",
    "NOT_MATCH_IN_STATE_METADATA",
)
# A failed batch may hold its state for a moment longer; the next attempt succeeds.
_PASSING = "UNRELEASED_THREAD_ERROR"


def damage(error: Exception) -> str | None:
    """Return the damage of the checkpoint's files, if it ended Spark's query."""
    text = str(error)
    return first_cause(error) if _PASSING not in text and any(sign in text for sign in _DAMAGE) else None


def _as_typed(name: str, value: Any) -> str:  # noqa: ANN401
    """Return a recorded value as the user gives it: `5m` for a `window_seconds` of 300."""
    if name.endswith(_SECONDS) and isinstance(value, int | float):
        return duration_text(timedelta(seconds=value))
    return str(value)
