"""The progress of a long run: a moving line on a terminal, a line now and then elsewhere."""

import math
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from common.text.terminal import Terminal

REDRAW_SECONDS = 0.25
LINE_SECONDS = 10.0


class RunProgress:
    """A line on stderr with the records sent and acknowledged, and the rate. Stdout stays clean for pipes."""

    def __init__(self, total: int | None, *, quiet: bool = False) -> None:
        self._console = Terminal(stderr=True, soft_wrap=False)
        self._bar = Progress(
            TextColumn("{task.fields[state]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            auto_refresh=False,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._interval = math.inf if quiet else LINE_SECONDS if self._bar.disable else REDRAW_SECONDS
        self._task = self._bar.add_task("produce", total=total, state="starting")
        self._start = self._drawn = time.monotonic()

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def __call__(self, sent: int, acknowledged: int) -> None:
        now = time.monotonic()
        if now - self._drawn < self._interval:
            return
        self._drawn = now
        state = f"{sent:,} sent, {acknowledged:,} acknowledged, {sent / (now - self._start):,.0f}/s"
        if self._bar.disable:
            self._console.print(state)
        else:
            self._bar.update(self._task, completed=sent, state=state, refresh=True)
