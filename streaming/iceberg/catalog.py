"""The Iceberg catalog of the settings: Spark's configuration for it, and the tables in its namespace."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from common.errors import BadInput, ConfigError, ServiceUnavailable, SinkError
from common.settings import LakehouseSettings
from streaming.recovery.causes import first_cause, told_as

_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
_CHECK = "check the ADSTREAM_LAKEHOUSE settings, and that Spark has the jars which they need"


def spark_options(settings: LakehouseSettings, warehouse: str) -> dict[str, str]:
    """Return Spark's options for the catalog; `warehouse` applies if the settings name none. May hold secrets."""
    catalog = f"spark.sql.catalog.{settings.catalog}"
    options = {
        "spark.sql.extensions": _EXTENSIONS,
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": settings.type,
        # A query runs in its own session. Without this its commits would stay invisible here until the cached table
        # expires.
        f"{catalog}.cache-enabled": "false",
        f"{catalog}.warehouse": settings.warehouse or warehouse,
    }
    if settings.type == "jdbc":
        # The older layout of the catalog's tables has no views. A request for a missing table then fails.
        options[f"{catalog}.jdbc.schema-version"] = "V1"
    if settings.uri:
        options[f"{catalog}.uri"] = settings.uri
    if settings.username:
        options[f"{catalog}.jdbc.user"] = settings.username
        options[f"{catalog}.jdbc.password"] = settings.password.get_secret_value()
    for name, value in settings.properties.items():
        options[f"{catalog}.{name}"] = value
    return options


def table_name(settings: LakehouseSettings, name: str) -> str:
    """Return the full name of a table, for SQL."""
    return f"{settings.catalog}.{settings.namespace}.{name}"


def ensure_table(
    spark: SparkSession, settings: LakehouseSettings, name: str, schema: StructType, partitioned_by: str
) -> str:
    """Make the namespace and the table if they are missing. Returns the table's full name.

    Raises the errors of `explained`.
    """
    where = table_name(settings, name)
    columns = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in schema)
    with explained(settings):
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {settings.catalog}.{settings.namespace}")
        spark.sql(f"CREATE TABLE IF NOT EXISTS {where} ({columns}) USING iceberg PARTITIONED BY ({partitioned_by})")
    return where


def existing_table(spark: SparkSession, settings: LakehouseSettings, name: str) -> DataFrame | None:
    """Return the table, or None if it is missing. Raises the errors of `explained`."""
    where = table_name(settings, name)
    with explained(settings):
        return spark.table(where) if spark.catalog.tableExists(where) else None


@contextmanager
def explained(settings: LakehouseSettings) -> Iterator[None]:
    """Raise ConfigError or ServiceUnavailable in place of an error of the catalog.

    Spark's own errors are about names and settings. Iceberg's (UncheckedSQLException, RESTException and others) may be
    about a service that is down, so a job that has begun tries again.
    """
    try:
        yield
    except PySparkException as error:
        raise ConfigError(_unusable(settings, error), _CHECK) from error
    except Py4JJavaError as error:
        raise ServiceUnavailable(_unusable(settings, error), _CHECK) from error


def _unusable(settings: LakehouseSettings, error: Exception) -> str:
    return f"the Iceberg catalog {settings.catalog} cannot be used: {first_cause(error)}"


def reading(name: str) -> AbstractContextManager[None]:
    """Raise BadInput in place of an error of reading a table's rows."""
    remedy = "see whether the warehouse has all of its files"
    return told_as(lambda cause: BadInput(f"the rows of {name} cannot be read: {cause}", remedy))


def writing(where: str) -> AbstractContextManager[None]:
    """Raise SinkError in place of an error of writing a table."""
    remedy = "check the ADSTREAM_LAKEHOUSE settings and the warehouse's disk"
    return told_as(lambda cause: SinkError(f"{where} was not written: {cause}", remedy))


def newest_rows(
    spark: SparkSession, settings: LakehouseSettings, name: str, limit: int
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return column names and rows of a table, newest first by its first time column; empty if the table is missing.

    Times are aware, in UTC. Spark gives times to Python in this machine's zone, and without a zone.
    """
    table = existing_table(spark, settings, name)
    if table is None:
        return [], []
    times = [field.name for field in table.schema if field.dataType.typeName() in ("timestamp", "date")]
    with reading(name):
        rows = table.orderBy(F.desc(times[0]), *table.columns).limit(limit).collect()
    return table.columns, in_utc(rows)


def in_utc(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return collected rows by column, with aware times in UTC."""
    return [{column: _in_utc(value) for column, value in row.asDict().items()} for row in rows]


def _in_utc(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
