"""Describes the machine of a benchmark, and the share of its time that the benchmark got."""

import os
import platform
import timeit
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil

from common.own_stack import SECURED
from common.settings import data_dir
from stack import state

# Seconds by process id.
Seconds = dict[int, float]


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def conditions() -> str:
    """Describe the machine: other programs' use since this program began, and its speed.

    A shared machine is not equally fast at all times. `nice` does not always hold other programs back: Linux first
    shares the processors between terminal sessions. So the line states how much time others took.
    """
    now = psutil.cpu_times()
    everything = max(1.0, sum(now) - sum(_TIMES))
    stolen = getattr(now, "steal", 0.0) - getattr(_TIMES, "steal", 0.0)
    others = max(0.0, _busy(now) - _busy(_TIMES) - since(_OURS))
    return (
        f"Machine: {machine()}; load average {_LOAD:.1f} before and {os.getloadavg()[0]:.1f} after; "
        f"{others / everything:.0%} of its time went to other processes here and {stolen / everything:.0%} "
        f"to others on the host; a million additions in Python took {_addition():.0f} ms."
    )


def ours() -> Seconds:
    """Return processor seconds, by process, of this program, its services, and all their children."""
    return {
        each.pid: times.user + times.system + times.children_user + times.children_system
        for each, times in _processes()
    }


def since(before: Seconds) -> float:
    """Return the processor seconds that our processes have used since `before`.

    The seconds of a process that has ended count with its parent.
    """
    return sum(max(0.0, seconds - before.get(process, 0.0)) for process, seconds in ours().items())


def _processes() -> Iterator[tuple[psutil.Process, Any]]:
    stacks = [state.read(folder) for folder in (data_dir(), data_dir() / SECURED)]
    services = [each.running.process() for stack in stacks for each in stack.services.values()]
    roots = {psutil.Process(), *(each for each in services if each)}
    found = set(roots)
    for root in roots:
        with suppress(psutil.Error):
            found.update(root.children(recursive=True))
    for each in found:
        with suppress(psutil.Error):
            yield each, each.cpu_times()


def _busy(times: Any) -> float:  # noqa: ANN401 - psutil names it differently by system
    """Return the busy seconds, without interrupts: they belong to no process."""
    return times.user + times.system + getattr(times, "nice", 0.0)


def _addition() -> float:
    """Return the milliseconds for a million additions, the best of five runs."""
    return min(timeit.repeat("total += 1", "total = 0", number=1_000_000, repeat=5)) * 1_000


_LOAD, _TIMES, _OURS = os.getloadavg()[0], psutil.cpu_times(), ours()
