"""A job's checkpoint folder: which job, topic and options it belongs to, and which offsets a batch holds.

State is only meaningful to the plan that wrote it, and offsets only to the topic they were read from. Both are written
down beside the checkpoint when it is made, and compared on every start, so that a checkpoint is never continued by
something else. Files are reached through Hadoop's file system, so the folder may be local, on HDFS or in S3.
"""

import json
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from adstream.errors import CheckpointError

_FILE = "adstream.json"


class Checkpoint:
    """One checkpoint folder. `path` is a local path or any URI that the session's Hadoop can write."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.path = path
        self._jvm: Any = spark.sparkContext._jvm  # PySpark's only door to Hadoop's file systems
        self._hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()

    def claim(self, options: dict[str, Any]) -> None:
        """Write `options` into a new checkpoint, or compare them with those it was made with.

        Raises CheckpointError when one differs, or when the folder holds a checkpoint of unknown origin.
        """
        found = self._read(_FILE)
        if found is None:
            if self._exists("offsets"):
                raise CheckpointError(f"{self.path} is a checkpoint of unknown origin", "give another --checkpoint")
            self._write(_FILE, json.dumps(options, indent=2))
            return
        made_with = json.loads(found)
        for name, value in options.items():
            if made_with.get(name) != value:
                raise CheckpointError(
                    f"checkpoint {self.path} was made with {name}={made_with.get(name)}, not {value}",
                    "keep what it was made with, or give another --checkpoint",
                )

    def made_with(self) -> dict[str, Any]:
        """The options that were written when the checkpoint was made. Raises CheckpointError where there are none."""
        found = self._read(_FILE)
        if found is None:
            raise CheckpointError(f"{self.path} is not a checkpoint of ours", "give the --checkpoint of the job")
        options: dict[str, Any] = json.loads(found)
        return options

    def made_at(self) -> datetime:
        """When the checkpoint was made, by the clock of its file system."""
        path = self._path(_FILE)
        millis = path.getFileSystem(self._hadoop).getFileStatus(path).getModificationTime()
        return datetime.fromtimestamp(millis / 1_000, UTC)

    def id(self) -> str:
        """The id that Spark gave to the checkpoint, for as long as it lives."""
        text = self._read("metadata")
        if text is None:
            raise CheckpointError(f"{self.path} does not say its id", "it may be damaged")
        return str(json.loads(text)["id"])

    def last_committed(self) -> int:
        """The newest batch that was committed. Raises CheckpointError where there is none."""
        path = self._path("commits")
        files = path.getFileSystem(self._hadoop).listStatus(path) if self._exists("commits") else []
        batches = [int(file.getPath().getName()) for file in files if file.getPath().getName().isdigit()]
        if not batches:
            raise CheckpointError(f"{self.path} holds no committed batch", "let the job run first")
        return max(batches)

    def first_offsets(self, topic: str) -> dict[int, int]:
        """Where a new checkpoint began to read, by partition; partitions that were added later begin at 0."""
        return self._offsets("sources/0/0", topic) or {}

    def batch_offsets(self, topic: str, batch_id: int) -> dict[int, tuple[int, int]]:
        """Partition -> [first offset, end offset) of a batch: Spark writes them down before the batch runs."""
        end = self._offsets(f"offsets/{batch_id}", topic)
        if end is None:
            raise CheckpointError(f"{self.path} does not hold the offsets of batch {batch_id}", "it may be damaged")
        before = self._offsets(f"offsets/{batch_id - 1}" if batch_id else "sources/0/0", topic) or {}
        return {partition: (before.get(partition, 0), stop) for partition, stop in end.items()}

    def batch_files(self, batch_id: int) -> list[str]:
        """The files that a batch of a file source holds."""
        last, first = self._log_offset(batch_id), self._log_offset(batch_id - 1) + 1
        wanted = range(first, last + 1)
        entries = [entry for number in wanted for entry in self._logged_files(number)]
        return sorted({entry["path"] for entry in entries if entry["batchId"] in wanted})

    def late_before(self, batch_id: int) -> int:
        """The watermark, in milliseconds, by which Spark drops rows of a batch as late: that of the batch before."""
        text = self._read(f"offsets/{batch_id - 1}") if batch_id else None
        return int(json.loads(text.splitlines()[1])["batchWatermarkMs"]) if text else 0

    def is_committed(self, batch_id: int) -> bool:
        """True when Spark has committed the batch, so that it will not come again."""
        return self._exists(f"commits/{batch_id}")

    def _offsets(self, file: str, topic: str) -> dict[int, int] | None:
        text = self._read(file)
        if text is None:
            return None
        # A version line, a line of metadata where there is any, and last the offsets of the only source.
        by_topic = json.loads(text.strip().splitlines()[-1])
        return {int(partition): int(offset) for partition, offset in by_topic[topic].items()}

    def _log_offset(self, batch_id: int) -> int:
        text = self._read(f"offsets/{batch_id}") if batch_id >= 0 else None
        return int(json.loads(text.strip().splitlines()[-1])["logOffset"]) if text else -1

    def _logged_files(self, number: int) -> list[dict[str, Any]]:
        # Spark folds every so many logs into one, which then holds the earlier batches' files as well.
        text = self._read(f"sources/0/{number}") or self._read(f"sources/0/{number}.compact") or ""
        return [json.loads(line) for line in text.splitlines()[1:]]

    def _exists(self, file: str) -> bool:
        path = self._path(file)
        exists: bool = path.getFileSystem(self._hadoop).exists(path)
        return exists

    def _read(self, file: str) -> str | None:
        if not self._exists(file):
            return None
        path = self._path(file)
        stream = path.getFileSystem(self._hadoop).open(path)
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode()
        finally:
            stream.close()

    def _write(self, file: str, text: str) -> None:
        path = self._path(file)
        stream = path.getFileSystem(self._hadoop).create(path, False)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def _path(self, file: str) -> Any:  # noqa: ANN401 - a Java object
        return self._jvm.org.apache.hadoop.fs.Path(f"{self.path}/{file}")
