"""A network that loses packets on their way to and from one port of this machine.

A filter of Linux's traffic control drops them on arrival: a program of the classic BPF, as tcpdump has them. So neither
side notices a loss before its TCP does.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_DEVICE = ("dev", "lo")
_HALF = 1 << 31
_HALFWORD, _BYTE, _RANDOM = 40, 48, 32  # loads from a place of the frame; a load from place -4040 gives a random word
_HEADER_LENGTH, _HALFWORD_BEHIND = 177, 72
_IF_EQUAL, _IF_AT_LEAST, _RETURN = 21, 53, 6
_PASS, _DROP = 0, 2


def _drop_half(port: int) -> str:
    """Return the program, as `tc` takes it. Each jump counts the instructions to skip: if so, and if not."""
    program = [
        (_HALFWORD, 0, 0, 12), (_IF_EQUAL, 0, 9, 0x0800),  # IPv4
        (_BYTE, 0, 0, 23), (_IF_EQUAL, 0, 7, 6),  # TCP
        (_HEADER_LENGTH, 0, 0, 14),
        (_HALFWORD_BEHIND, 0, 0, 14), (_IF_EQUAL, 2, 0, port),  # from the port,
        (_HALFWORD_BEHIND, 0, 0, 16), (_IF_EQUAL, 0, 2, port),  # or to it
        (_RANDOM, 0, 0, 2**32 - 4040), (_IF_AT_LEAST, 1, 0, _HALF),
        (_RETURN, 0, 0, _PASS),
        (_RETURN, 0, 0, _DROP),
    ]  # fmt: skip
    return ",".join([str(len(program)), *(" ".join(map(str, each)) for each in program)])


def _tc(*arguments: str) -> str | None:
    """Return the problem, or None."""
    try:
        done = subprocess.run(["tc", *arguments], capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return "the program `tc` is not installed"
    return done.stderr.strip() or f"tc ended with {done.returncode}" if done.returncode else None


@contextmanager
def half_of_the_packets_lost(port: int) -> Iterator[None]:
    """Drop half of the TCP packets from and to the port on the loopback device. Skips the test where that is not
    allowed."""
    if problem := _tc("qdisc", "add", *_DEVICE, "clsact"):
        pytest.skip(f"no filter may drop packets here: {problem}")
    try:
        filtered = ("bpf", "direct-action", "bytecode", _drop_half(port))
        if problem := _tc("filter", "add", *_DEVICE, "ingress", *filtered):
            pytest.skip(f"no filter may drop packets here: {problem}")
        yield
    finally:
        _tc("qdisc", "del", *_DEVICE, "clsact")
