"""The job on a standalone Spark cluster of one worker, whose executor is killed."""

import json
import os
import random
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pyspark
import pytest

from adstream.settings import Settings
from stack.java import find_java
from tests.e2e.commands import MIX, free_port
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import SECONDS, running_job
from tests.faults.faulty import ledger


class Cluster:
    """A master, and a worker with two cores; `url` is what --master takes."""

    def __init__(self, folder: Path, resources: ExitStack) -> None:
        home = Path(pyspark.__file__).parent
        port, pages = free_port(), free_port()
        self.url = f"spark://127.0.0.1:{port}"
        java = find_java(Settings().stack.java_home)
        environment = os.environ | {
            "JAVA_HOME": str(java.home), "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1",
        }  # fmt: skip

        def daemon(name: str, *arguments: str) -> psutil.Popen:
            log = resources.enter_context((folder / f"{name}.log").open("wb"))
            command = [home / "bin" / "spark-class", f"org.apache.spark.deploy.{name.lower()}.{name}", *arguments]
            started = psutil.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
            resources.callback(_end, started)
            return started

        daemon("Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(pages))
        self._await(f"http://127.0.0.1:{pages}/json/", workers=0)
        place = ("--host", "127.0.0.1", "--webui-port", "0", "--work-dir", str(folder / "work"))
        self._worker = daemon("Worker", *place, "--cores", "2", "--memory", "1g", self.url)
        self._await(f"http://127.0.0.1:{pages}/json/", workers=1)

    def executor(self) -> psutil.Process:
        [found] = [
            process
            for process in self._worker.children(recursive=True)
            if process.name() == "java" and any("CoarseGrainedExecutorBackend" in part for part in process.cmdline())
        ]
        return found

    @staticmethod
    def _await(pages: str, workers: int) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(pages, timeout=5) as answer:
                    if json.load(answer)["aliveworkers"] >= workers:
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.2)


def _end(process: psutil.Popen) -> None:
    for each in [*process.children(recursive=True), process]:
        each.kill()
    process.wait(30)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as resources:
        yield Cluster(tmp_path, resources)


@pytest.mark.thorough
def test_an_executor_killed_in_the_middle_of_a_batch(
    pipeline: Pipeline, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    chance = random.Random(seed)
    pipeline.produce("--seed", str(seed), "--count", "6000", "--over", "3m", *MIX)
    with running_job(pipeline, "--master", cluster.url) as job:
        said = job.await_line(rf"^batch {chance.randrange(4)} ")
        time.sleep(chance.uniform(0, 1))  # somewhere in the next batch
        victim = cluster.executor()
        victim.kill()
        victim.wait(SECONDS)
        job.await_line("lag 0 ", after=said)
        code, _, errors = job.end()
        assert code == 0, errors
    ledger(pipeline, 6000)
