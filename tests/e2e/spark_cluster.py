"""A Spark cluster beside the session's stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from common.settings import Settings
from stack import local, state
from stack.spark import WORKER, cluster

WORKERS = 2


class Cluster:
    """A master and two one-core workers. Commands that start meanwhile run their jobs there."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def workers(self) -> list[psutil.Process]:
        """Return the running workers."""
        named = (entry.running.process() for name, entry in self._services().items() if name.startswith(WORKER))
        return [process for process in named if process is not None]

    def executors(self) -> list[psutil.Process]:
        """Return the running executors of all workers."""
        return [process for worker in self.workers() for process in executors_of(worker)]

    def unpacked(self) -> list[set[str]]:
        """Return for each worker the names of its executors' folders, over all applications."""
        works = [self._data / name / "work" for name in self._services() if name.startswith(WORKER)]
        return [{folder.name for folder in work.glob("*/*/*") if folder.is_dir()} for work in works]

    def _services(self) -> dict[str, state.Entry]:
        return state.read(self._data).services


def executors_of(worker: psutil.Process) -> list[psutil.Process]:
    """Return the executors that this worker has started."""
    return [
        process
        for process in worker.children()
        if any("CoarseGrainedExecutorBackend" in part for part in process.cmdline())
    ]


@contextmanager
def spark_cluster(settings: Settings) -> Iterator[Cluster]:
    settings.stack.spark_port = 0
    local.up(settings, spark_workers=WORKERS)
    try:
        yield Cluster(settings.data_dir.absolute())
    finally:
        local.down(settings, only=cluster(WORKERS))
