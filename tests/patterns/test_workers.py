"""The Python processes that Spark starts on the driver's machine."""

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyspark
from pyspark.sql import SparkSession


def test_workers_are_this_python_and_read_compiled_files_only(spark: SparkSession) -> None:
    def found(_batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        archives = [entry for entry in sys.path if zipfile.is_zipfile(entry)]
        told = os.environ.get("PYTHONPATH", "")
        row = {"python": sys.executable, "pyspark": pyspark.__file__, "archives": ",".join(archives), "path": told}
        yield pa.RecordBatch.from_pylist([{**row, "searched": sys.path, "folder": str(Path.cwd())}])

    schema = "python string, pyspark string, archives string, path string, searched array<string>, folder string"
    [row] = spark.range(1, numPartitions=1).mapInArrow(found, schema).collect()
    assert row.python == sys.executable
    assert row.pyspark == pyspark.__file__
    assert row.archives == ""
    assert row.path == os.environ.get("PYTHONPATH", "")
    # A package of the user's own there would hide ours.
    assert not {"", row.folder} & set(row.searched)
