"""The result tables of the lakehouse that can be validated, and the clean-up after a trial."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from common.errors import ConfigError, MigrationError
from common.settings import LakehouseSettings
from common.text.nearest import did_you_mean
from streaming.iceberg import catalog
from streaming.iceberg.checks import SLIDING, TUMBLING, Check, check_daily_sales, check_sensors
from streaming.iceberg.daily_jobs import DAILY_SALES, RAW_SALES


@dataclass(frozen=True)
class Validation:
    """A check of some `tables`. A clean-up removes these tables."""

    tables: tuple[str, ...]
    check: Callable[..., list[Check]]

    def run(self, spark: SparkSession, settings: LakehouseSettings) -> list[Check]:
        """Run the checks. Raises MigrationError if a table is missing, and BadInput if one cannot be read."""
        tables = [_table(spark, settings, name) for name in self.tables]
        with catalog.reading(" and ".join(self.tables)):
            return self.check(*tables)

    def clean_up(self, spark: SparkSession, settings: LakehouseSettings) -> list[str]:
        """Remove the tables and their files; returns their names."""
        names = [catalog.table_name(settings, name) for name in self.tables]
        with catalog.explained(settings):
            for name in names:
                spark.sql(f"DROP TABLE IF EXISTS {name} PURGE")
        return names


_SENSORS = Validation((TUMBLING, SLIDING), check_sensors)
VALIDATIONS = {
    "sensor-averages": _SENSORS,
    "sensor-moving-averages": _SENSORS,
    "daily-sales": Validation((RAW_SALES, DAILY_SALES), check_daily_sales),
}


def find(job: str) -> Validation:
    """Find the validation of this name. Raises ConfigError with the nearest name."""
    found = VALIDATIONS.get(job)
    if found is None:
        remedy = did_you_mean(job, VALIDATIONS, f"there are {', '.join(VALIDATIONS)}")
        raise ConfigError(f"there is nothing to validate for {job}", remedy)
    return found


def _table(spark: SparkSession, settings: LakehouseSettings, name: str) -> DataFrame:
    found = catalog.existing_table(spark, settings, name)
    if found is None:
        where = catalog.table_name(settings, name)
        raise MigrationError(f"there is no table {where}", "run the job that writes it first")
    return found
