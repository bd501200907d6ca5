"""Which jobs write their checkpoint without Hadoop's processes."""

from pathlib import Path

import pytest

from streaming.spark import local_files
from streaming.spark.local_files import suit

CLUSTER = "spark://host:7077"
PLACES = ["/shared/checkpoint", "file:///shared/warehouse", ""]


@pytest.fixture(autouse=True)
def pyspark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """PySpark's folder, and no variable that names another Hadoop or Spark."""
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME", "YARN_CONF_DIR", "HIVE_CONF_DIR", "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local_files, "pyspark_folder", lambda: tmp_path)
    return tmp_path


def test_a_standalone_cluster_with_shared_folders_does() -> None:
    assert suit(CLUSTER, PLACES, {"spark.executor.memory": "2g"})


@pytest.mark.parametrize("master", ["yarn", "k8s://https://host", "mesos://host:5050"])
def test_other_clusters_stay_as_they_are(master: str) -> None:
    assert not suit(master, PLACES, {})


@pytest.mark.parametrize("place", ["hdfs://name/checkpoint", "s3a://bucket/checkpoint", "thrift://hive:9083"])
def test_a_place_on_another_file_system_keeps_sparks_file_manager(place: str) -> None:
    assert not suit(CLUSTER, [*PLACES, place], {})


@pytest.mark.parametrize("name", ["HADOOP_CONF_DIR", "HADOOP_HOME", "YARN_CONF_DIR", "HIVE_HOME", "SPARK_CONF_DIR"])
def test_a_configuration_may_name_another_file_system(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/etc/somewhere")
    assert not suit(CLUSTER, PLACES, {})


def test_so_may_one_in_pysparks_folder(pyspark: Path) -> None:
    (pyspark / "conf").mkdir()
    assert not suit(CLUSTER, PLACES, {})


@pytest.mark.parametrize(
    "name", [*local_files.OPTIONS, "spark.hadoop.fs.defaultFS", "spark.driver.extraClassPath", "spark.jars"]
)  # fmt: skip
def test_what_the_user_chooses_holds(name: str) -> None:
    assert not suit(CLUSTER, PLACES, {name: "another"})
