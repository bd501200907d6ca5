"""`adstream reset` on real services."""

from pyspark.sql import SparkSession

from tests.e2e.commands import adstream
from tests.e2e.pipeline import Pipeline
from tests.e2e.updates import stored


def test_the_rows_may_stay_until_the_job_counts_them_again(spark: SparkSession, pipeline: Pipeline) -> None:
    pipeline.produce("--count", "300", "--over", "1m")
    pipeline.run(spark)
    before = stored(pipeline.settings)
    done = adstream("reset", "ad-metrics", "--checkpoint", str(pipeline.checkpoint), "--keep-tables", "--yes")
    assert done.returncode == 0, done.stderr
    assert "is emptied" not in done.stdout
    assert not pipeline.checkpoint.exists()
    assert stored(pipeline.settings) == before != {}
    pipeline.run(spark)
    assert sum(pipeline.verified().fates.values()) == 300
    assert {place: row[:3] for place, row in stored(pipeline.settings).items()} == {
        place: row[:3] for place, row in before.items()
    }
