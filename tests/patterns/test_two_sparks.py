"""The locked Spark and the Spark of real-time mode: each runs with its own parts and a suitable state store.

Under the latter: `python -m stack.real_time pytest tests/patterns`.
"""

import re
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from common.settings import SparkSettings
from stack import parts, real_time
from streaming.jobs import JOBS
from streaming.spark import state_store
from streaming.spark.session import _SHORT_PAUSES, _SHUFFLE_WAIT_MILLIS
from tests.patterns.test_state_store import rows_of

ROOT = Path(__file__).parents[2]
PINS = ROOT / ("stack/real-time.in" if real_time.entered() else "pyproject.toml")


def test_it_is_the_one_that_is_pinned(spark: SparkSession) -> None:
    pinned = re.search(r"pyspark==([\d.]+)", PINS.read_text(encoding="utf-8"))
    assert pinned is not None
    assert pyspark.__version__ == spark.version == pinned[1]


@pytest.mark.parametrize("part", ["kafka010.KafkaSourceProvider", "avro.AvroDataToCatalyst"])
def test_its_jvm_parts_are_those_of_its_list(spark: SparkSession, part: str) -> None:
    loader: Any = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
    place = (
        loader.loadClass(f"org.apache.spark.sql.{part}").getProtectionDomain().getCodeSource().getLocation().getPath()
    )
    assert Path(place) in parts.jars("spark")
    sums = parts.read_sums(real_time.SUMS if real_time.entered() else parts.SUMS)
    assert f"spark/{Path(place).name}" in sums


@pytest.mark.parametrize("name", ["ad-metrics", "logins"])
def test_the_state_store_suits_it_and_nobody_is_told(spark: SparkSession, name: str) -> None:
    wanted = state_store.ROCKSDB if real_time.entered() else state_store.INCREMENTAL
    assert "update" in JOBS[name].modes
    assert state_store.suited(rows_of(spark, name, "update"), "update", SparkSettings()) == wanted
    assert state_store.told() == []


@pytest.mark.skipif(not real_time.entered(), reason="the other Spark has no such shuffle")
def test_rows_wait_less_for_a_shuffle_than_by_sparks_default(spark: SparkSession) -> None:
    """The property's name comes from Spark itself. A misspelt property would change nothing."""
    jvm: Any = spark._jvm
    config = jvm.java.lang.Class.forName("org.apache.spark.internal.config.package$").getField("MODULE$").get(None)
    entry = config.STREAMING_SHUFFLE_NETWORK_BUFFER_MAX_WAIT_TIME_MS()
    assert entry.defaultValue().get() > _SHUFFLE_WAIT_MILLIS
    assert spark.sparkContext.getConf().get(entry.key()) == str(_SHUFFLE_WAIT_MILLIS)


def test_the_jvm_keeps_compiled_code_in_real_time_alone(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    bean = jvm.java.lang.Class.forName("com.sun.management.HotSpotDiagnosticMXBean")
    options = jvm.java.lang.management.ManagementFactory.getPlatformMXBean(bean)
    found = {name: options.getVMOption(name).getValue() for name in ("UseCodeCacheFlushing", "PerMethodTrapLimit")}
    kept = {"UseCodeCacheFlushing": "false", "PerMethodTrapLimit": "0"}
    assert found == (kept if real_time.entered() else {"UseCodeCacheFlushing": "true", "PerMethodTrapLimit": "100"})


@pytest.mark.skipif(not real_time.entered(), reason="the other Spark does not know all of them")
def test_spark_takes_the_properties_for_short_pauses_and_its_defaults_are_others(spark: SparkSession) -> None:
    """Spark ignores a property with a misspelt name. So names, defaults and values in effect come from Spark itself."""
    jvm: Any = spark._jvm
    sql = jvm.org.apache.spark.sql
    state = sql.execution.streaming.state
    plain, ours = sql.internal.SQLConf(), spark._jsparkSession.sessionState().conf()
    cleanup = sql.internal.SQLConf.STREAMING_STATE_INCREMENTAL_CLEANUP_FACTOR()
    prefix, buffer = state.RocksDBConf.ROCKSDB_SQL_CONF_NAME_PREFIX(), state.RocksDBConf.WRITE_BUFFER_SIZE_MB_CONF_KEY()
    found = {
        conf: {
            cleanup.key(): str(conf.getConf(cleanup)),
            f"{prefix}.{buffer}": str(state.RocksDBConf.apply(state.StateStoreConf.apply(conf)).writeBufferSizeMB()),
        }
        for conf in (plain, ours)
    }
    assert found[ours] == _SHORT_PAUSES
    assert not found[plain].items() & _SHORT_PAUSES.items()
