"""Keep a job's rows in memory by key, to query them with SQL. This serves questions, not production."""

from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from common.errors import SinkError
from common.settings import Settings
from streaming.sinks.sink import Sink, Stamp, Write

MOST_ROWS = 1_000_000


class Memory(Sink):
    """The rows as a table with this key would hold them. Without a key every row stays.

    Their number is limited: one more raises SinkError.
    """

    def __init__(self, key: tuple[str, ...]) -> None:
        self._key = key
        self._rows: dict[Any, Row] = {}
        self._schema = StructType()

    def open(self, _spark: SparkSession, _settings: Settings, schema: StructType) -> Write:
        self._schema = schema
        return self._write

    def view(self, spark: SparkSession, name: str) -> None:
        """Make the rows a temporary view."""
        spark.createDataFrame(list(self._rows.values()), self._schema).createOrReplaceTempView(name)

    def _write(self, rows: DataFrame, _stamp: Stamp) -> int:
        found = rows.collect()
        for row in found:
            key = tuple(row[name] for name in self._key) if self._key else len(self._rows)
            self._rows[key] = row
        if len(self._rows) > MOST_ROWS:
            raise SinkError(f"more than {MOST_ROWS:,} rows do not go into memory", "stream the job to its tables")
        return len(found)
