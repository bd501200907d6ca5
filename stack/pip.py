"""Install Python packages by exact versions and sums, into their own folder."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import StackError
from stack.host.java import system_bundle

INSTALL_SECONDS = 900.0
TELL_EVERY_SECONDS = 5.0
_RULES = ("--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check", "--no-warn-script-location")


def install(
    python: Path,
    lock: Path,
    options: Sequence[str] = (),
    *,
    report: Callable[[str], None] = lambda _line: None,
    doing: str = "installing",
) -> None:
    """Let this interpreter's pip install exactly the files of the lock file. Raises StackError with pip's last line.

    `report` gets the elapsed time, every few seconds. The interpreter's environment may have no pip.
    """
    command: list[str | Path] = [python, "-P", "-m", "pip", "install", "--progress-bar", "off", *_RULES, *options]
    command += ["-r", lock]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            code = _wait(process, report, doing)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        said = output.read().decode("utf-8", "replace").strip().splitlines()
    if code is None:
        raise StackError(f"{doing} took longer than {INSTALL_SECONDS:.0f} s", "check the network, and try again")
    if code:
        raise StackError(f"{doing} failed: {_why(said)}", _remedy(said))


def _wait(process: "subprocess.Popen[bytes]", report: Callable[[str], None], doing: str) -> int | None:
    begun = time.monotonic()
    while (taken := time.monotonic() - begun) < INSTALL_SECONDS:
        try:
            return process.wait(TELL_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            report(f"{doing}, for {taken + TELL_EVERY_SECONDS:.0f} s")
    return None


def _environment() -> dict[str, str]:
    """Return the user's environment without redirections of pip, and with the authorities that the system trusts."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")}
    if bundle := system_bundle():
        kept.setdefault("PIP_CERT", str(bundle))
    return kept


def _why(said: Sequence[str]) -> str:
    """Return pip's own error, without the advice after it."""
    errors = [line for line in said if line.startswith("ERROR:")]
    last = (errors or said or ["pip said nothing"])[-1]
    if "DO NOT MATCH THE HASHES" in last:
        return "a download has another hash than the lock file says"
    return last.removeprefix("ERROR:").strip()


def _remedy(said: Sequence[str]) -> str:
    if any("No module named pip" in line for line in said):
        return "use an environment with pip, as `make setup` makes one"
    if any("DO NOT MATCH" in line for line in said):
        return "try again, and if it stays so do not trust the network in between"
    if any("No space left" in line for line in said):
        return "free some disk, or set TMPDIR to a folder elsewhere"
    return "check the network, and try again"
