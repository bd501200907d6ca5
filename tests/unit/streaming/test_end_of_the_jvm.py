"""A JVM that ends by itself ends the program, with a line that gives the reason."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, os, signal, sys
from pathlib import Path
from pyspark import SparkContext
from common.errors import AdstreamError
from common.settings import Settings
from streaming.spark.session import spark_session

logging.getLogger().addHandler(logging.NullHandler())  # as the command line does
settings = Settings()
settings.data_dir = Path(sys.argv[1])
settings.spark = settings.spark.model_copy(update={"ui": False, "driver_memory": "512m"})
try:
    with spark_session(settings, "ending") as spark:
        if sys.argv[2] == "memory":
            kept = spark._jvm.java.util.ArrayList()
            while True:
                kept.add(spark._jvm.java.nio.ByteBuffer.allocate(32_000_000))
        os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)
        spark.range(3).count()
except AdstreamError as error:
    print(f"error: {error}")
"""


def ended(folder: Path, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), how], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    [line] = done.stdout.splitlines()
    return line


def test_one_that_runs_out_of_memory_names_the_setting(tmp_path: Path) -> None:
    line = ended(tmp_path, "memory")
    assert line.startswith("error: Spark ran out of memory (ADSTREAM_SPARK_DRIVER_MEMORY=512m); raise that setting")


def test_one_that_is_killed_names_its_log(tmp_path: Path) -> None:
    line = ended(tmp_path, "kill")
    assert line.startswith("error: Spark's JVM ended with code -9: ")
    assert line.endswith(f"see {tmp_path}/logs/ending.log, and start the job again")
