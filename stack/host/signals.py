"""Ctrl-C and SIGTERM while processes start: no process may be left behind, and no signal may be missed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; elsewhere the caller's own handlers stay
        return
    previous = {ending: signal.signal(ending, handler) for ending in _ENDINGS}
    try:
        yield
    finally:
        for ending, old in previous.items():
            signal.signal(ending, old)


@contextmanager
def ending_raises() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in this context, as Ctrl-C does. Every `finally` then runs."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def ending_deferred() -> Iterator[Callable[[], None]]:
    """Defer these signals in this context: only a call of the yielded function raises KeyboardInterrupt.

    No interruption may come between the start of a process and the record of its id. The clean-up after the first
    Ctrl-C must survive a second one.
    """
    received = threading.Event()

    def remember(_signal: int, _frame: FrameType | None) -> None:
        received.set()

    def raise_if_received() -> None:
        if received.is_set():
            raise KeyboardInterrupt

    with _handled_by(remember):
        yield raise_if_received
