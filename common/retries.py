"""One bounded retry policy for every remote call.

Remote calls often fail for a moment: a leader moves, a node restarts, a connection is reset. The policy tries each call
a few times, with a growing, jittered pause, and then gives up. A caller that waits for ever hides the failure from the
person who could repair it. The call's own timeout, set where it is made, limits a single attempt.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import stamina

ATTEMPTS = 4
LONGEST_SECONDS = 30.0

# Retries are logged for whoever configures logging. A user waits for one clear line instead.
logging.getLogger("stamina").addHandler(logging.NullHandler())

T = TypeVar("T")


def call(action: Callable[[], T], *, on: type[Exception] | tuple[type[Exception], ...]) -> T:
    """Return `action()`, and retry after an error in `on`. Raises the last error unchanged."""
    for attempt in stamina.retry_context(
        on=on, attempts=ATTEMPTS, timeout=LONGEST_SECONDS, wait_initial=0.2, wait_max=3.0, wait_jitter=0.2
    ):
        with attempt:
            return action()
    raise AssertionError("stamina either returns or raises")
