"""adstream as a wheel, in an environment of its own that sees nothing of this repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("adstream", "common", "consumer", "cql", "producer", "schemas", "stack", "streaming")
SECONDS = 300


@dataclass(frozen=True)
class Installed:
    """The installed program. `wheel` is the file, `bin` the folder of the environment's programs."""

    wheel: Path
    bin: Path

    def run(self, folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end, in `folder`."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=folder,
            env={**kept, "PATH": f"{self.bin}{os.pathsep}{kept['PATH']}", "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def install(folder: Path) -> Installed:
    """Build a wheel, and install it without its requirements.

    Builds from a copy of the sources, because building leaves files behind. The new environment uses this environment's
    requirements: a line in a `.pth` file adds these packages after the wheel's. Their own `.pth` files do not count,
    for example that of an editable adstream.
    """
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    [wheel] = folder.glob("adstream-*.whl")
    environment = folder / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    (Path(packages) / "requirements.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return Installed(wheel, environment / "bin")


def _pip(*arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
