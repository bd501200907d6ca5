"""A line of progress on standard error while a command works, if that is a terminal.

So standard output stays free for pipes and files, and a log has no half-drawn bars.
"""

import sys
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from common.text.shown import shown
from common.text.terminal import Terminal


class Working:
    """The line, while the block runs: the work, its amount, and its duration. Call it to change the line."""

    def __init__(self, what: str) -> None:
        err = Terminal(stderr=True)
        self._line = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
            # Other output goes above the progress line. But output meant for a pipe never goes to the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._line.add_task(shown(what), total=None)

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Change the line; `total` is 0 if nobody knows it."""
        self._line.update(self._task, description=shown(what), completed=done, total=total or None)

    def __enter__(self) -> "Working":
        self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.stop()

    @property
    def shown(self) -> bool:
        """Return whether anybody can see it."""
        return not self._line.disable
