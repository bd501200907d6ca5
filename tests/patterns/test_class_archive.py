"""A driver loads Spark's own classes from the class archive."""

import subprocess
import sys
from pathlib import Path

from common.settings import Settings
from stack.host.java import find_java
from streaming.spark.class_archive import java_option, make

ARCHIVED = "shared objects file (top)"
SPARK_SQL = "org.apache.spark.sql."
DRIVER = """
import sys
from streaming.spark.session import Settings, spark_session
settings = Settings()
settings.spark = settings.spark.model_copy(update={"ui": False})
with spark_session(settings, "test", java_options=sys.argv[1]) as spark:
    assert spark.range(3).count() == 3
"""


def loaded(log: Path) -> dict[str, str]:
    """Return the source of each loaded class."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" source: ", 1) for line in lines if " source: " in line)


def test_sparks_classes_come_out_of_the_archive(tmp_path: Path) -> None:
    settings = Settings().stack
    said: list[str] = []
    make(settings, said.append)
    option = java_option(settings, find_java(settings.java_home))
    assert option, said

    log = tmp_path / "loaded"
    options = f"{option} -Xlog:class+load=info:file={log}:none"
    # The test needs a new driver: the other tests' driver has started already.
    driver = [sys.executable, "-c", DRIVER, options]
    ended = subprocess.run(driver, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    sources = loaded(log)
    assert sources["org.apache.spark.SparkContext"] == ARCHIVED
    # The other classes are lambdas and generated code, which a JVM makes at run time.
    read = [name for name, source in sources.items() if source.startswith("file:") and SPARK_SQL in name]
    mapped = [name for name, source in sources.items() if source == ARCHIVED and SPARK_SQL in name]
    assert len(mapped) > 1_000
    assert len(read) < len(mapped) / 20
