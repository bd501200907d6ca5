"""A user's own sink: the program draws and checks its destinations. A sink with nothing but `open` runs as well."""

from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from common.settings import Settings
from streaming import flow
from streaming.jobs import find
from streaming.real_time.suits import refusal
from streaming.sinks.sink import Destination, Sink, Stamp, Write, need_iceberg, tables_of


class Named(Sink):
    """A sink that names a table of each store."""

    @property
    def destinations(self) -> tuple[Destination, ...]:
        return Destination("Cassandra", "logins"), Destination("Iceberg", "weeks", facts=("merged by week",))

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return written


class Bare:
    """A sink with nothing but `open`."""

    def open(self, _spark: SparkSession, _settings: Settings, _schema: StructType) -> Write:
        return written


def written(rows: DataFrame, _stamp: Stamp) -> int:
    return rows.count()


def test_what_a_sink_names_is_drawn_and_required() -> None:
    job = replace(find("ad-clicks"), sinks=(Named(),))
    places = [(each.store, each.name) for each in flow.of_job(job, Settings()).sinks]
    assert places == [("Cassandra", "ads.logins"), ("Iceberg", "lakehouse.demo.weeks")]
    assert tables_of(job.sinks) == ("logins",)
    assert need_iceberg(job.sinks)
    assert "its sink combines rows" in refusal(job)


@pytest.mark.parametrize("others", [0, 1])
def test_a_sink_with_nothing_but_open_is_drawn_by_its_class(others: int) -> None:
    job = replace(find("ad-clicks"), sinks=(*find("ad-clicks").sinks[:others], Bare()))
    assert [each.name for each in flow.of_job(job, Settings()).sinks][others:] == ["Bare"]
    assert tables_of(job.sinks) == ("ad_clicks",) * others
    assert not need_iceberg(job.sinks)
    assert refusal(job)
