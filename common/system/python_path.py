"""PYTHONPATH with another PySpark, which Python would import before the PySpark of the requirements."""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

# Beside the PySpark of real-time mode: its JVM parts, which distinguish it from any other (stack/real_time.py).
OWN_PARTS = "adstream-parts"
_SPARKS_OWN = ("pyspark", "py4j")


def leave_other_pysparks() -> list[str]:
    """Take folders and archives with another PySpark or Py4J off Python's path, and return them.

    An example is `PYTHONPATH=$SPARK_HOME/python` of an installed Spark. This process and its children use the PySpark
    of the requirements. Without another one nothing changes. The PySpark of real-time mode stays, because a child
    process gets it by this path.
    """
    named = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    others = [entry for entry in named if not _is_ours(entry) and any(_has(each, entry) for each in _SPARKS_OWN)]
    rest = [entry for entry in sys.path if entry not in others and os.path.abspath(entry) not in others]  # noqa: PTH100
    if not others or PathFinder.find_spec("pyspark", rest) is None:
        return []
    sys.path[:] = rest
    os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in named if entry not in others)
    return others


def _has(package: str, entry: str) -> bool:
    return PathFinder.find_spec(package, [entry]) is not None


def _is_ours(entry: str) -> bool:
    return (Path(entry) / OWN_PARTS).is_dir()
