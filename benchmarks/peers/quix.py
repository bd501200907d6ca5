"""Runs Quix Streams: two processes of one consumer group, the same sliding windows, and no sink."""

import json
import queue
import secrets
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.peers import environment
from benchmarks.peers.drained import Drained, Load, PeerMissing
from common import contracts
from common.settings import Settings

PROCESSES = 2
IDLE_SECONDS = 4
START_SECONDS = 60

# Pairs of seconds since 1970 and the number of messages that one process had taken by then.
Counts = list[tuple[float, int]]


def drain(settings: Settings, load: Load, seconds: float) -> Drained:
    """Let the processes work until they have read the topic, or `seconds` are over.

    Only the time in which all processes work counts. It begins when the last process has taken its first thousand
    messages. It ends when the first process has taken its last message. Raises PeerMissing.
    """
    python = environment.python(settings, "quix")
    schema = json.dumps(contracts.latest("ads_data").schema)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        group = f"bench-{secrets.token_hex(3)}"
        with log.open("w") as errors:
            workers = [
                subprocess.Popen(
                    [
                        *(python, Path(__file__).with_name("quix_worker.py"), settings.kafka.bootstrap_servers),
                        *(load.topic, group, f"{folder}/{number}", str(IDLE_SECONDS), schema),
                    ],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
                for number in range(PROCESSES)
            ]
            counts = _follow(workers, load.messages, seconds)
        told = log.read_text(encoding="utf-8").strip().splitlines()
    if not sum(each[-1][1] for each in counts if each):
        raise PeerMissing(f"Quix Streams took nothing: {told[-1] if told else 'it said nothing'}")
    return together([each for each in counts if each], time.perf_counter() - began)


def _follow(workers: list[subprocess.Popen[str]], messages: int, seconds: float) -> list[Counts]:
    """Return the counts of each worker.

    Follows the workers' output until they have read all messages, or the time is over. Then it ends the workers.
    """
    counts: list[Counts] = [[] for _ in workers]
    lines: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for number, worker in enumerate(workers):
        threading.Thread(target=_read, args=(number, worker, lines), daemon=True).start()
    end, ended = time.monotonic() + START_SECONDS, 0
    try:
        while ended < len(workers) and sum(each[-1][1] for each in counts if each) < messages:
            number, line = lines.get(timeout=max(0.0, end - time.monotonic()))
            if not any(counts):
                end = time.monotonic() + seconds
            if line:
                moment, taken = line.split()
                counts[number].append((float(moment), int(taken)))
            else:
                ended += 1
    except queue.Empty:
        pass
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return counts


def _read(number: int, worker: subprocess.Popen[str], lines: "queue.SimpleQueue[tuple[int, str]]") -> None:
    assert worker.stdout is not None  # noqa: S101 - a pipe was asked for
    with worker.stdout as stream:
        for line in stream:
            lines.put((number, line))
    lines.put((number, ""))


def together(counts: list[Counts], whole: float) -> Drained:
    begin = max(each[0][0] for each in counts)
    end = min(each[-1][0] for each in counts)
    events = sum(_by(each, end) - _by(each, begin) for each in counts)
    if not events:  # a run of a test's size is too short for the processes to overlap
        return Drained(sum(each[-1][1] for each in counts), whole, whole)
    return Drained(events, end - begin, whole)


def _by(counts: Counts, moment: float) -> int:
    return max((taken for when, taken in counts if when <= moment), default=0)
