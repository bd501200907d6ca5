"""A folder as a source: a job reads each file once, or not at all."""

from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from common.errors import BadInput
from streaming.sources import Folder

MEANS_SOMETHING = ["a*", "a?", "[a]", "{a}", "{a,b}", "a\\b"]


def counted(spark: SparkSession, folder: Path, checkpoint: Path) -> int:
    rows: list[int] = []

    def count(batch: DataFrame, _batch_id: int) -> None:
        rows.append(batch.count())

    stream = Folder(folder).stream(spark).writeStream.option("checkpointLocation", str(checkpoint))
    stream.trigger(availableNow=True).foreachBatch(count).start().awaitTermination()
    return sum(rows)


@pytest.mark.parametrize("name", MEANS_SOMETHING)
def test_a_folder_that_spark_takes_for_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "in").mkdir(parents=True)
    with pytest.raises(BadInput, match="for a pattern: its path has one of"):
        Folder(tmp_path / name / "in").identity()


def test_each_file_of_a_folder_of_other_letters_is_read_once(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "Büro (1), 100% #2 ;'漢"
    folder.mkdir()
    for name in ("one.json", "50%.json", "a,b #3.json"):
        (folder / name).write_text("{}\n{}\n")
    Folder(folder).identity()
    assert counted(spark, folder, tmp_path / "checkpoint") == 6


@pytest.mark.parametrize("name", MEANS_SOMETHING)
def test_a_file_that_spark_takes_for_a_pattern_ends_its_batch_and_is_named(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for each in (name, "one", "two"):
        (folder / f"{each}.json").write_text("{}\n")
    with pytest.raises(StreamingQueryException, match="Spark takes this name for a pattern; rename it"):
        counted(spark, folder, tmp_path / "checkpoint")
