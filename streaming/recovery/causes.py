"""The cause of a failure, in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

from common.errors import AdstreamError


@contextmanager
def told_as(described: Callable[[str], AdstreamError]) -> Iterator[None]:
    """Raise the error that `described` makes of the cause, in place of an error of Spark or the JVM."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise described(first_cause(error)) from error


def line(error: Exception) -> str:
    """Return the problem in one line: our errors unchanged, those of Spark and the JVM by the innermost cause."""
    return str(error) if isinstance(error, AdstreamError) else first_cause(error)


def first_cause(error: Exception) -> str:
    """Return the JVM's innermost cause, in one line."""
    lines = [each.strip() for each in str(error).splitlines() if each.strip()]
    if isinstance(error, Py4JJavaError):
        lines = [each.removeprefix(": ") for each in lines[1:]]  # the first cause names only the call
    causes = [each.removeprefix("Caused by:").strip() for each in lines if each.startswith("Caused by:")]
    return (causes or lines or [type(error).__name__])[-1 if causes else 0][:300]
