"""Write a job's rows to an Iceberg table, by MERGE.

An append would write a replayed batch a second time; a merge by key rewrites the same rows, in one atomic commit.
`processing_time` is the batch's time. Contract: the function returns when the commit is in the catalog, or raises.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType, TimestampType

from common.settings import Settings
from streaming.iceberg import catalog
from streaming.sinks.sink import Destination, Sink, Stamp, Write

_UPDATES = "adstream_updates"


@dataclass(frozen=True)
class IcebergTable(Sink):
    """`name` in the namespace of the settings; rows with the same `key` are the same row.

    `partitioned_by` is a partition transform as Iceberg's SQL has it, like `days(window_start)`.
    """

    name: str
    key: tuple[str, ...]
    partitioned_by: str

    @property
    def destinations(self) -> tuple[Destination, ...]:
        facts = f"merged by {', '.join(self.key)}", f"partitioned by {self.partitioned_by}"
        return (Destination("Iceberg", self.name, facts=facts),)

    def open(self, spark: SparkSession, settings: Settings, schema: StructType) -> Write:
        """Create the table if it is missing.

        Raises ConfigError or ServiceUnavailable if the catalog cannot be used.
        """
        stored = StructType([*schema.fields]).add("processing_time", TimestampType())
        where = catalog.ensure_table(spark, settings.lakehouse, self.name, stored, self.partitioned_by)
        on = " AND ".join(f"stored.{column} = changed.{column}" for column in self.key)
        merge = (
            f"MERGE INTO {where} AS stored USING {_UPDATES} AS changed ON {on}"
            " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )

        def write(rows: DataFrame, stamp: Stamp) -> int:
            stamped = rows.withColumn("processing_time", F.lit(stamp.time)).persist()
            try:
                count = stamped.count()  # computes the rows: an error here is not the table's
                if count:
                    stamped.createOrReplaceTempView(_UPDATES)
                    with catalog.writing(where):
                        stamped.sparkSession.sql(merge)
                return count
            finally:
                stamped.unpersist()

        return write
