"""Spark's properties that hold secrets: which ones they are, and how a JVM starts without them.

PySpark passes every property to a new JVM as an argument, and every user of the machine can read arguments.
"""

import re
from collections.abc import Mapping

from pyspark import SparkConf, SparkContext

# Values that Spark hides in its pages, plans and logs, by name or value: Spark's own default, Kafka's logins, and the
# property of an Iceberg REST catalog.
PATTERN = "(?i)secret|password|token|access[.]?key|jaas|credential"
PATTERN_OPTION = "spark.redaction.regex"

# The JVM needs these as it starts. A path among their values may look like a secret.
_AT_START = ("spark.driver.", "spark.jars", "spark.submit.")


def start_jvm(options: Mapping[str, str]) -> None:
    """Start this process's JVM, unless it runs, with the properties that may be arguments.

    It gets all others when the session begins, over PySpark's own connection.
    """
    arguments = [(name, value) for name, value in options.items() if not is_secret(name, value)]
    SparkContext._ensure_initialized(conf=SparkConf().setAll(arguments))


def is_secret(name: str, value: str) -> bool:
    """Return whether a property may hold a secret."""
    if name == PATTERN_OPTION or name.startswith(_AT_START):
        return False
    return re.search(PATTERN, f"{name}={value}") is not None
