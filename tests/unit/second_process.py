"""A second process that needs a result while the first process is still making it."""

import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path


def waits_for_the_first(home: Path, lock: str, ensure: Callable[[Callable[[str], None]], Path]) -> list[str]:
    """Return the second process's output while the first holds `lock`. The second must find the first one's result."""
    said: list[str] = []
    found: list[Path] = []
    home.parent.mkdir()
    with (home.parent / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: found.append(ensure(said.append)))
        second.start()
        deadline = time.monotonic() + 60
        while not said:
            assert time.monotonic() < deadline, "the second process said nothing"
            time.sleep(0.01)
        home.mkdir()
    second.join(60)
    assert found == [home]
    return said
