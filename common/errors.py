"""Every error a user can meet, as one tree.

AdstreamError
├── WrongUsage             a command or option that does not exist, or an argument that is missing
├── ConfigError            a setting or option that cannot be used
├── ServiceUnavailable     a broker, registry or Cassandra node that does not answer
├── AccessDenied           wrong credentials, or no right to do it
├── TopicNotFound          a topic that does not exist
├── SchemaNotFound         a subject or schema id that the registry does not know
├── SchemaIncompatible     a schema that does not fit what is registered, or events that do not fit the schema
├── BadInput               a file, row or value given by the user that cannot be read
├── DeliveryFailed         events that Kafka did not acknowledge
├── ReplayRefused          dead letters that cannot be sent back, or were sent back already
├── MigrationError         a migration that cannot be applied
├── SinkError              rows that the sink could not write; the batch is not committed
├── CheckpointError        a checkpoint that does not belong to this job, topic or set of options
├── JobFailed              a job that stopped after its last retry
├── Mismatch               tables or a topic that differ from the independent computation
├── Unproved               what can no longer be computed, because messages have aged out of the topic
└── StackError             a local service that could not be fetched, started or stopped

The command line prints one as `error: <what is wrong>; <what to do>` and exits with 1, or with 2 for a WrongUsage.
Anything else that escapes is a bug, and keeps its traceback.
"""

import re
from typing import ClassVar


class AdstreamError(Exception):
    """An error for a user. `problem` names the fault, and `remedy` the next step.

    Both are one line without a full stop.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = _in_one_line(problem)
        self.remedy = _in_one_line(remedy)
        super().__init__(f"{self.problem}; {self.remedy}" if self.remedy else self.problem)

    def __reduce__(self) -> tuple[type["AdstreamError"], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


def _in_one_line(text: str) -> str:
    """Replace the line breaks in a service's text. Other characters stay; `common.text.shown` makes them visible."""
    return re.sub(r"[ \t\r\n]+", " ", text).strip(" ")


class WrongUsage(AdstreamError):
    """A command or option that does not exist, or an argument that is missing."""

    exit_code = 2


class ConfigError(AdstreamError):
    """A setting or option that cannot be used."""


class ServiceUnavailable(AdstreamError):
    """A broker, registry or Cassandra node that does not answer."""


class AccessDenied(AdstreamError):
    """Wrong credentials, or no right to do it."""


class TopicNotFound(AdstreamError):
    """A topic that does not exist."""


class SchemaNotFound(AdstreamError):
    """A subject or schema id that the registry does not know."""


class SchemaIncompatible(AdstreamError):
    """A schema that does not fit the registered ones, or events that do not fit the schema."""


class BadInput(AdstreamError):
    """A file, row or value given by the user that cannot be read."""


class DeliveryFailed(AdstreamError):
    """Events that Kafka did not acknowledge."""


class ReplayRefused(AdstreamError):
    """Dead letters that cannot be sent back, or were sent back already."""


class MigrationError(AdstreamError):
    """A migration that cannot be applied."""


class SinkError(AdstreamError):
    """Rows that the sink could not write; the batch is not committed."""


class CheckpointError(AdstreamError):
    """A checkpoint that does not belong to this job, topic or set of options."""


class JobFailed(AdstreamError):
    """A job that stopped after its last retry."""


class Mismatch(AdstreamError):
    """Tables or a topic that differ from the independent computation."""


class Unproved(AdstreamError):
    """Figures that nobody can compute any more, because messages have aged out of the topic."""


class StackError(AdstreamError):
    """A local service that could not be fetched, started or stopped."""
