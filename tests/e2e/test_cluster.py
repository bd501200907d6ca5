"""The job on a standalone cluster, whose workers start with an empty environment."""

import os
import shutil
from pathlib import Path

import pytest

from common.settings import Settings
from streaming.spark import local_files, state_store
from tests.e2e.commands import MIX, adstream, free_port, one_line
from tests.e2e.pipeline import Pipeline
from tests.e2e.spark_cluster import WORKERS, spark_cluster

PROPERTIES = "ADSTREAM_SPARK_PROPERTIES"
BARE = local_files.OPTIONS["spark.hadoop.fs.file.impl"]


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


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets a line for each call of `chmod` or `readlink` from now on."""
    programs, file = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    file.touch()
    for name in ("chmod", "readlink"):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{file}"\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return file


@pytest.mark.thorough
def test_executors_keep_the_state_in_our_store_and_start_no_process_for_a_file(
    pipeline: Pipeline, calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_the_checkpoint() -> list[str]:
        return [line for line in calls.read_text().splitlines() if str(pipeline.checkpoint) in line]

    with spark_cluster(Settings()):
        # A user's choice of file system counts. The next start, with ours, continues from that checkpoint.
        monkeypatch.setenv(PROPERTIES, "spark.hadoop.fs.file.impl=org.apache.hadoop.fs.LocalFileSystem")
        pipeline.produce("--count", "1000", "--over", "3m", *MIX)
        pipeline.stream_once()
        files = {"chmod": "changelog", "readlink": "offsets"}
        for program, file in files.items():
            assert any(line.startswith(program) and file in line for line in of_the_checkpoint()), of_the_checkpoint()
        calls.write_text("")
        loaded = "-Xlog:class+load:file=" + str(tmp_path / "loaded-%p")
        monkeypatch.setenv(PROPERTIES, f"spark.executor.defaultJavaOptions={loaded}")
        pipeline.produce("--count", "1000", "--over", "3m", *MIX)
        pipeline.stream_once()
        assert of_the_checkpoint() == []
    logs = [log.read_text() for log in tmp_path.glob("loaded-*")]
    assert len(logs) == WORKERS
    for log in logs:
        assert f" {state_store.INCREMENTAL} " in log
        assert f" {BARE} " in log
    assert sum(pipeline.verified().fates.values()) == 2000
