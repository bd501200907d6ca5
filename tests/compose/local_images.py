"""Builds the images for docker-compose.yml on a machine that reaches no image registry.

    sudo .venv/bin/python -m tests.compose.local_images

debootstrap makes a Debian that replaces the Python image, from the mirror of this machine's apt. Our image is built on
this Debian from the usual Dockerfile. The services' images use the stack's own JVM parts. Needs root, debootstrap and a
Docker engine.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from common.errors import AdstreamError, StackError
from common.settings import Settings
from stack import parts
from stack.host.java import system_bundle

ROOT = Path(__file__).parents[2]
SERVICES = ("kafka", "registry", "cassandra")
PACKAGES = ("python3", "python3-venv", "ca-certificates")
BUILD_ONLY = ("./opt/parts", "./usr/share/python-wheels", "./usr/lib/python3*/ensurepip")
NOT_NEEDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./var/cache/apt", "./var/lib/apt/lists")
SECONDS = 1800


def build() -> None:
    """Build all images. Docker's cache supplies unchanged layers. Raises StackError."""
    home = parts.ensure(Settings().stack, print)
    suite = _os_release()["VERSION_CODENAME"]
    python, with_tools = f"adstream-local/python:{suite}", f"adstream-local/build:{suite}-{home.name}"
    if not (_exists(python) and _exists(with_tools)):
        _bootstrap(suite, home, python, with_tools)
    base = {"PYTHON_IMAGE": python, "BUILD_IMAGE": with_tools}
    _docker_build(ROOT, "adstream-local/adstream", base)
    of_services = {"ADSTREAM_IMAGE": "adstream-local/adstream", "BUILD_IMAGE": with_tools, "PARTS": home.name}
    for service in SERVICES:
        _docker_build(Path(__file__).parent, f"adstream-local/{service}", of_services, "--target", service)


def missing_tool() -> str | None:
    """Return the reason why `build` cannot work here, in words, or None."""
    if os.geteuid() != 0:
        return "local images are built by root only"
    return None if shutil.which("debootstrap") else "debootstrap, which makes local images, is not installed"


def _bootstrap(suite: str, home: Path, python: str, with_tools: str) -> None:
    if problem := missing_tool():
        raise StackError(problem, "on Debian: sudo apt install debootstrap, and run it as root")
    # /tmp may be mounted without devices, so this folder is elsewhere.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        include = f"--include={','.join(PACKAGES)}"
        _run("debootstrap", "--variant=minbase", include, suite, folder, _mirror(suite), env=_proxy())
        if bundle := system_bundle():
            shutil.copyfile(bundle, Path(folder, "etc/ssl/certs/ca-certificates.crt"))
        shutil.copytree(home, Path(folder, "opt/parts", home.name))
        _import(folder, with_tools, NOT_NEEDED)
        _import(folder, python, (*NOT_NEEDED, *BUILD_ONLY))


def _import(folder: str, image: str, left_out: tuple[str, ...]) -> None:
    tar = ["tar", "-C", folder, *(f"--exclude={path}" for path in left_out), "-c", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packed:
        docker = ["docker", "import", "-", image]
        subprocess.run(docker, stdin=packed.stdout, stdout=subprocess.DEVNULL, check=True, timeout=SECONDS)
    if packed.returncode:
        raise StackError(f"{image} could not be packed: tar ended with {packed.returncode}", "see above")


def _mirror(suite: str) -> str:
    """Return the first archive of this suite in apt's configuration."""
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {suite}", "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    if not found:
        raise StackError(f"apt knows no archive for {suite}", "run apt-get update")
    return found[0]


def _proxy() -> dict[str, str]:
    """Return apt's proxy as environment variables: debootstrap does not read apt's configuration."""
    asked = subprocess.run(
        ["apt-config", "shell", "proxy", "Acquire::http::Proxy"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    return {"http_proxy": asked.removeprefix("proxy='").removesuffix("'")} if asked else {}


def _docker_build(folder: Path, image: str, arguments: dict[str, str], *options: str) -> None:
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    # The build uses the host's network, so it reaches the same package registries as the host.
    _run("docker", "build", "--quiet", "--network", "host", *given, *options, "--tag", image, str(folder))


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    print(" ".join((command[0], *command[-3:])), flush=True)
    done = subprocess.run(
        command,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        raise StackError(f"{command[0]} failed: {done.stdout[-2000:]}", "run the command by hand to see all of it")


def _exists(image: str) -> bool:
    asked = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False, timeout=60)
    return asked.returncode == 0


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    try:
        build()
    except AdstreamError as error:
        raise SystemExit(f"error: {error}") from None
