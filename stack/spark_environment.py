"""The environment of a Spark driver: it is in UTC, and a local job sees no other Spark or Hadoop of this machine."""

import os
import time
from collections.abc import Iterable

from common.errors import ConfigError
from stack.host.environment import java_environment

# These variables configure a cluster's machines, or another installation. A local job has its settings.
_OF_ANOTHER = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_")
# The folder of the job's temporary files, and its user on a Hadoop file system.
_KEPT = {"SPARK_LOCAL_DIRS", "HADOOP_USER_NAME"}
# How to reach Hadoop's file systems and Hive's catalog.
_HADOOP = ("HADOOP_", "YARN_", "HIVE_", "SPARK_CONF_DIR")
# These variables would let PySpark join a running JVM or server.
_JOINING = {
    "PYSPARK_GATEWAY_PORT",
    "PYSPARK_GATEWAY_SECRET",
    "SPARK_API_MODE",
    "SPARK_CONNECT_MODE",
    "SPARK_CONNECT_MODE_ENABLED",
    "SPARK_ENV_LOADED",
    "SPARK_LOCAL_REMOTE",
    "SPARK_REMOTE",
}
# adstream always sets these itself.
_OURS = {"SPARK_HOME", "SPARK_LOCAL_IP", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "PYSPARK_DRIVER_PYTHONPATH"}


def is_local(master: str) -> bool:
    """Return whether the driver is the whole of Spark."""
    return master.startswith("local")


def is_remote(place: str) -> bool:
    """Return whether a path is on another file system than this machine's."""
    return "://" in place and not place.startswith("file:")


def names_hadoop() -> bool:
    """Return whether the environment names another Hadoop's or Spark's configuration."""
    return any(name.startswith(_HADOOP) for name in os.environ)


def left_out(master: str, places: Iterable[str]) -> list[str]:
    """Return the variables that a driver does not get. A driver on a cluster gets all that describe the cluster.

    `places` are the job's inputs and outputs: if one is on a Hadoop file system, the variables of its configuration
    stay.
    """
    if not is_local(master):
        return sorted(_JOINING & os.environ.keys())
    hadoop = _HADOOP if any(map(is_remote, places)) else ()
    of_another = {name for name in os.environ if name.startswith(_OF_ANOTHER)}
    return sorted(name for name in of_another - _KEPT if not name.startswith(hadoop))


def worth_telling(master: str, places: Iterable[str]) -> list[str]:
    """Return variables that a user may have set on purpose."""
    return [name for name in left_out(master, places) if name not in _OURS]


def settle(master: str, places: Iterable[str]) -> None:
    """Turn this process's environment into a driver's. Raises ConfigError for an unusable folder."""
    for folder in filter(None, os.environ.get("SPARK_LOCAL_DIRS", "").split(",")):
        try:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as Spark does
            usable = os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            usable = False
        if not usable:
            raise ConfigError(f"SPARK_LOCAL_DIRS names {folder}, which cannot be written", "correct or unset it")
    for name in left_out(master, places):
        del os.environ[name]
    settled = java_environment(os.environ)
    for name in os.environ.keys() - settled.keys():
        del os.environ[name]
    os.environ.update(settled)
    # PySpark gives times to Python, and takes them, in the zone of the process and without a zone.
    os.environ["TZ"] = "UTC"
    time.tzset()
