"""The job on a standalone cluster, whose workers start with an empty environment."""

import pytest

from adstream.settings import Settings
from tests.e2e.commands import MIX, adstream, free_port, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.spark_cluster import spark_cluster


@pytest.mark.thorough
def test_a_job_brings_a_cluster_all_it_needs_and_its_executors_write(pipeline: Pipeline) -> None:
    pipeline.produce("--count", "3000", "--over", "3m", *MIX)
    with spark_cluster(Settings()) as cluster:
        pipeline.stream_once("--master", Settings().spark.master)
        assert Settings().spark.master.startswith("spark://127.0.0.1:")
        assert all({"code", "libraries"} <= folders for folders in cluster.unpacked())
        assert len(cluster.unpacked()) == 2
    found = pipeline.verified()
    assert sum(found.fates.values()) == 3000
    assert Settings().spark.master == "local[2]"
    line = one_line(adstream(*pipeline.stream_command, "--once", "--master", f"spark://127.0.0.1:{free_port()}"))
    assert "Spark did not start on spark://127.0.0.1:" in line
