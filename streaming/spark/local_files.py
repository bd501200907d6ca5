"""Hadoop's local file system without a process for each file (docs/decisions/0023-*.md and 0035-*.md).

Plain Hadoop starts `chmod` and `readlink` for its files: 30 times in a small batch, on the driver and on the executors.
`BareLocalFileSystem` writes the same files by calls of Java.
"""

from collections.abc import Iterable, Mapping

from stack import spark_environment
from stack.ivy import pyspark_folder

# The group of JVM parts that holds the class.
JARS = "local-files"
CLASS_PATH = "spark.driver.extraClassPath"
_FILES, _CHECKPOINTS = "spark.hadoop.fs.file.impl", "spark.sql.streaming.checkpointFileManagerClass"
OPTIONS = {
    _FILES: "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
    _CHECKPOINTS: "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
}
# Options by which a user names the checkpoint's file system, brings a configuration that may name one, or gives
# executors other jars.
_CHOICES = {_FILES, _CHECKPOINTS, "spark.hadoop.fs.defaultFS", CLASS_PATH, "spark.jars"}


def suit(master: str, places: Iterable[str], properties: Mapping[str, str]) -> bool:
    """Return whether a job on a cluster keeps all its files in folders that every machine sees.

    Only a standalone cluster qualifies. On HDFS the checkpoint needs Spark's own file manager, which never overwrites a
    file by a rename. So nothing may name another file system: no place of the job, no environment, no configuration,
    and no Spark property.
    """
    elsewhere = spark_environment.names_hadoop() or (pyspark_folder() / "conf").exists()
    return (
        master.startswith("spark://")
        and not elsewhere
        and not _CHOICES & properties.keys()
        and not any(map(spark_environment.is_remote, places))
    )
