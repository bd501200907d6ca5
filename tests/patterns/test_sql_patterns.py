"""Each SQL pattern gives one table: as a batch, as one micro-batch, and as three shuffled ones with a crash between."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import StructType

from tests.patterns.pattern_runs import Event, as_batch, as_stream
from tests.patterns.sql_figures import ALL_FIGURES, Figures

every_pattern = pytest.mark.parametrize("figures", ALL_FIGURES, ids=lambda figures: figures.job)


@every_pattern
def test_as_a_batch(spark: SparkSession, figures: Figures) -> None:
    rows = as_batch(spark, figures.events, StructType.fromDDL(figures.schema), figures.pattern)
    assert len(rows) == len(figures.expected)
    assert figures.found(rows) == figures.expected


@every_pattern
def test_as_one_micro_batch(spark: SparkSession, figures: Figures, tmp_path: Path) -> None:
    assert figures.found(run(spark, tmp_path, figures, [figures.events])) == figures.expected


@every_pattern
def test_shuffled_into_micro_batches_with_a_crash_between(
    spark: SparkSession, figures: Figures, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    events = random.Random(seed).sample(figures.events, len(figures.events))
    batches = [events[nth::3] for nth in range(3)]
    # In append mode all rows come at the end, so the crash must come there, too.
    crash_at = 4 if figures.closing else 1
    assert figures.found(run(spark, tmp_path, figures, batches, crash_at=crash_at)) == figures.expected


def run(
    spark: SparkSession,
    folder: Path,
    figures: Figures,
    batches: Sequence[Sequence[Event]],
    *,
    crash_at: int | None = None,
) -> list[Row]:
    closing: list[list[Event]] = [[figures.closing], []] if figures.closing else []
    schema = StructType.fromDDL(figures.schema)
    return as_stream(
        spark,
        folder,
        [*batches, *closing],
        schema,
        figures.pattern,
        output_mode=figures.output_mode,
        crash_at=crash_at,
    )
