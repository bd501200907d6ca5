"""The wheel has everything that the program needs, and works from another folder."""

import json
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.installed import PACKAGES, ROOT, Installed


def test_every_package_and_data_file_is_in_the_wheel(installed: Installed) -> None:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file())
    wanted = {str(file.relative_to(ROOT)) for file in files if "__pycache__" not in file.parts}
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert wanted == held
    assert {Path(name).suffix for name in held} >= {".py", ".avsc", ".cql", ".csv", ".properties", ".yaml", ".xml"}


def test_it_is_the_wheels_code_that_runs(installed: Installed, tmp_path: Path) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*(each.__file__ for each in ({', '.join(PACKAGES)})))"
    done = installed.run(tmp_path, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(installed.bin.parent) for file in done.stdout.split()), done.stdout


def test_version_and_jobs_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    said = installed.run(tmp_path, "adstream", "--version").stdout
    assert said == f"adstream {metadata.version('adstream')}\n"
    jobs = installed.run(tmp_path, "adstream", "jobs")
    assert "\nad-metrics " in f"\n{jobs.stdout}", jobs.stderr
    explained = installed.run(tmp_path, "adstream", "explain", "fruit-categories")
    assert "fruit_categories.csv" in explained.stdout, explained.stderr


@pytest.mark.timeout(120)
def test_doctor_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    done = installed.run(tmp_path, "adstream", "doctor", "--json")
    assert done.returncode in (0, 1), done.stderr  # 1 if a check of this machine fails
    found = json.loads(done.stdout)
    assert {each["verdict"] for each in found} <= {"OK", "WARN", "FAIL"}
    assert len(found) > 10
    assert "Traceback" not in done.stderr
