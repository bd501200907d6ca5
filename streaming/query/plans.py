"""The plan of a job. It is made again when more schemas are known or more messages are set aside."""

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from common.registry.writers import Writers
from streaming.job import Job
from streaming.lookup import lookup_table
from streaming.micro_batch.pipeline import Pipeline
from streaming.recovery.checkpoint import Checkpoint

_UNREADABLE_SHOWN = 20


class Plans:
    """The plans of one job over one source.

    `schemas` belong to the source's topic; None for a source of JSON alone.
    """

    def __init__(
        self,
        spark: SparkSession,
        job: Job,
        checkpoint: Checkpoint,
        schemas: Writers | None,
        *,
        lookup: str | None,
        notice: Callable[[str], None],
    ) -> None:
        self._spark = spark
        self._job = job
        self._checkpoint = checkpoint
        self._schemas = schemas
        self._file = lookup
        self._notice = notice
        self._joined: DataFrame | None = None
        self._told_unreadable: set[int] = set()

    def made(self) -> Pipeline:
        """Make a plan with all present schemas of the subject in the registry, without the messages set aside."""
        writers = {} if self._schemas is None else self._schemas.contracts()
        takes_json = self._job.json or self._schemas is None
        return Pipeline(self._job, writers, takes_json, self._lookup(), self._checkpoint.places_set_aside())

    def tell_unreadable(self, planned: Pipeline) -> None:
        """Name each schema that the job cannot read, once.

        The job loses only messages of this schema, and the plan runs without it.
        """
        lines = planned.unreadable(self._spark)
        new = sorted(lines.keys() - self._told_unreadable)
        self._told_unreadable.update(new)
        for schema_id in new[:_UNREADABLE_SHOWN]:
            self._notice(lines[schema_id])
        if len(new) > _UNREADABLE_SHOWN:
            more = len(new) - _UNREADABLE_SHOWN
            self._notice(f"{more} more schemas cannot be read by the contract; `adstream doctor` names them")

    def _lookup(self) -> DataFrame | None:
        lookup = self._job.lookup
        if lookup is None:
            return None
        if self._joined is None:
            self._joined = lookup_table(self._spark, Path(self._file or lookup.path), lookup.columns)
        return self._joined
