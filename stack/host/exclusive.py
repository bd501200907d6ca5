"""One `up` or `down` at a time in a data folder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.errors import StackError
from common.system.file_lock import Held, locked


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep out every other `up` or `down` in the folder, in this context. Raises StackError if one is at work."""
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(data / "stack.lock"))
        except OSError as refused:
            remedy = "set ADSTREAM_DATA_DIR to another folder"
            raise StackError(f"{data} cannot be written: {refused.strerror}", remedy) from None
        except Held:
            problem = f"another `up` or `down` is at work in {data}"
            raise StackError(problem, "wait until it is done, or set ADSTREAM_DATA_DIR to another folder") from None
        yield
