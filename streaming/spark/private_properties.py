"""Spark's properties that hold secrets: which ones they are, and how they get to the JVM.

PySpark passes every property to a new JVM as an argument, and every user of the machine can read arguments.
"""

import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark import SparkContext

from stack.host.executable import temporary

# Values that Spark hides in its pages, plans and logs, by name or value: Spark's own default, Kafka's logins, and the
# property of an Iceberg REST catalog.
PATTERN = "(?i)secret|password|token|access[.]?key|jaas|credential"

_ARGUMENTS = "PYSPARK_SUBMIT_ARGS"
_FIRST_SHELL = "pyspark-shell"  # PySpark's own arguments where the variable is not set


@contextmanager
def handed_over(options: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the properties that may be arguments. In this context a new JVM reads the others from a private file."""
    secret = {name: value for name, value in options.items() if re.search(PATTERN, f"{name}={value}")}
    if not secret or SparkContext._gateway is not None:  # a JVM that runs already takes them by another way
        yield dict(options)
        return
    before = os.environ.get(_ARGUMENTS)
    with tempfile.NamedTemporaryFile("w", dir=temporary(), suffix=".properties", encoding="utf-8") as file:
        file.writelines(f"{_escaped(name)}={_escaped(value)}\n" for name, value in secret.items())
        file.flush()
        # Without the second option Spark would read no spark-defaults.conf beside the file.
        given = f"--properties-file {shlex.quote(file.name)} --load-spark-defaults {before or _FIRST_SHELL}"
        os.environ[_ARGUMENTS] = given
        try:
            yield {name: value for name, value in options.items() if name not in secret}
        finally:
            if before is None:
                del os.environ[_ARGUMENTS]
            else:
                os.environ[_ARGUMENTS] = before


def _escaped(text: str) -> str:
    """Write a name or a value as Java's properties files have it."""
    lines = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return re.sub(r"([ :=#!])", r"\\\1", lines)
