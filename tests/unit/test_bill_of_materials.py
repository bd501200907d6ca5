"""The bill of materials of a lock file and of jars, both made here."""

import hashlib
import zipfile
from pathlib import Path

from stack.bill_of_materials import bill

ROOT = Path(__file__).parents[2]


def jar_of(path: Path, told: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.class", path.name)
        if told is not None:
            archive.writestr("META-INF/maven/org.example/thing/pom.properties", told)
    return path


def test_every_pin_and_every_jar_is_in_it(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# Made\nRich==15.0.0 \\\n    --hash=sha256:aa\n    # via typer\ntomli==2.5.0 ; python_version < '3.12' \\\n"
    )
    known = jar_of(
        tmp_path / "spark" / "renamed.jar", "#x\ngroupId=org.example\nartifactId=thing\nversion=1.2\nm=a=b\n"
    )
    jar_of(tmp_path / "spark" / "lib" / "other-name-2.0.1.Final.jar")
    jar_of(tmp_path / "spark" / "nameless.jar")
    made = bill([lock], {"spark": tmp_path / "spark"})
    found = {component["bom-ref"]: component for component in made["components"]}
    assert [found[name]["purl"] for name in found] == [
        "pkg:pypi/rich@15.0.0",
        "pkg:pypi/tomli@2.5.0",
        "pkg:generic/other-name@2.0.1.Final",
        "pkg:generic/nameless@",
        "pkg:maven/org.example/thing@1.2",
    ]
    sums = found["spark/renamed.jar"]["hashes"]
    assert sums == [{"alg": "SHA-256", "content": hashlib.sha256(known.read_bytes()).hexdigest()}]


def test_the_lock_file_of_this_project_is_read_to_its_end() -> None:
    lock = ROOT / "requirements.lock"
    pins = sum(line[:1].isalnum() for line in lock.read_text().splitlines())
    assert len(bill([lock], {})["components"]) == pins > 50
