"""The Spark of real-time mode is installed whole and once per hash, and imported before any other PySpark."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from common.errors import StackError
from common.settings import Settings, StackSettings
from common.system.python_path import OWN_PARTS
from stack import ivy, parts, real_time
from stack.checks import doctor
from tests.installed import ROOT
from tests.unit.second_process import waits_for_the_first

JAR = b"jar"


def wheel(folder: Path, name: str, version: str) -> Path:
    """Write a package that has nothing but its version."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"__version__ = {version!r}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return file


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """Settings with an empty cache. pip installs a small PySpark from a folder; a stand-in for Ivy writes one jar."""
    package = wheel(tmp_path, "pyspark", "99.0")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    (tmp_path / "real-time.lock").write_text(f"pyspark==99.0 \\\n    --hash=sha256:{digest}\n")
    (tmp_path / "real-time.sha256").write_text(f"{hashlib.sha256(JAR).hexdigest()}  spark/a-1.jar\n")
    for name in ("LOCK", "SUMS"):
        monkeypatch.setattr(real_time, name, tmp_path / getattr(real_time, name).name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def retrieve(_settings: StackSettings, _names: Path, *, into: Path, **_others: object) -> None:
        (into / "spark").mkdir()
        (into / "spark" / "a-1.jar").write_bytes(JAR)

    monkeypatch.setattr(ivy, "retrieve", retrieve)
    return StackSettings(cache_dir=tmp_path / "cache")


def left(settings: StackSettings) -> list[str]:
    """Return the names in the cache, without locks and the system's authorities."""
    assert settings.cache_dir is not None
    return sorted(path.name for path in settings.cache_dir.iterdir() if path.suffix not in (".lock", ".p12"))


def test_it_appears_whole_and_is_made_once(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    home = real_time.ensure(settings, said.append)
    assert (home / "pyspark" / "__init__.py").is_file()
    assert (home / OWN_PARTS / "spark" / "a-1.jar").read_bytes() == JAR
    assert "installing pyspark 99.0 for real-time mode, once (450 MB)" in said
    assert left(settings) == [home.name]
    monkeypatch.setattr(ivy, "retrieve", None)  # a second making would fail
    assert real_time.ensure(settings) == home


def test_a_package_of_another_hash_is_refused_and_nothing_appears(settings: StackSettings) -> None:
    real_time.LOCK.write_text("pyspark==99.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(
        StackError, match=r"^installing pyspark 99\.0 for real-time mode failed: a download has another"
    ):
        real_time.ensure(settings)
    assert not real_time.home(settings).exists()


def test_a_jar_of_another_sum_is_refused_and_nothing_appears(settings: StackSettings) -> None:
    real_time.SUMS.write_text("0" * 64 + "  spark/a-1.jar\n")
    with pytest.raises(StackError, match=r"^spark/a-1\.jar is not the file whose SHA-256 sum is in real-time"):
        real_time.ensure(settings)
    assert not real_time.home(settings).exists()


def test_other_pins_are_another_folder(settings: StackSettings) -> None:
    before = real_time.home(settings)
    real_time.LOCK.write_text(real_time.LOCK.read_text() + "# changed\n")
    assert real_time.home(settings) != before


def test_a_second_process_waits_for_the_first(settings: StackSettings) -> None:
    said = waits_for_the_first(real_time.home(settings), "real-time.lock", lambda say: real_time.ensure(settings, say))
    assert said == ["another process is making the environment of real-time mode; waiting for it"]


def test_an_environment_without_pip_is_one_line(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    without = Path(str(settings.cache_dir)).parent / "without-pip"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", without], check=True)
    monkeypatch.setattr(sys, "executable", str(without / "bin" / "python"))
    with pytest.raises(StackError, match=r"No module named pip; use an environment with pip, as `make "):
        real_time.ensure(settings)


def test_doctor_says_whether_it_is_there_and_whole(settings: StackSettings) -> None:
    asked = Settings()
    asked.stack = settings
    (before,) = doctor.real_time_environment(asked)
    assert (before.verdict, "`make real-time` (450 MB)" in before.detail) == ("OK", True)
    home = real_time.ensure(settings)
    (whole,) = doctor.real_time_environment(asked)
    assert (whole.verdict, str(home) in whole.detail) == ("OK", True)
    (home / OWN_PARTS / "spark" / "a-1.jar").write_bytes(b"other")
    (changed,) = doctor.real_time_environment(asked)
    assert (changed.verdict, changed.remedy) == ("FAIL", f"delete {home}; the next use makes it again")


def run_in(home: Path, code: str, **variables: str) -> list[str]:
    """Run the code after `enter` with this home, in a process of its own. Return the printed lines."""
    entering = (
        "from pathlib import Path; from stack import real_time; from common.settings import Settings\n"
        f"real_time.home = lambda _settings: Path({str(home)!r})\n"
        "enter = lambda: real_time.enter(Settings(), print)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", entering + code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


IMPORTED = "import pyspark; print(pyspark.__version__)"
CHILD = (
    "import subprocess, sys; from common.system.python_path import leave_other_pysparks as leave;"
    f"print(subprocess.run([sys.executable, '-c', 'from common.system.python_path import *; "
    "print(leave_other_pysparks()); "
    f'from stack import parts, real_time; print(parts.jars("spark")[0].name, real_time.entered()); {IMPORTED}\'],'
    " capture_output=True, text=True, check=True).stdout, end='')"
)


def test_this_process_and_its_children_import_it_with_the_parts_that_suit_it(settings: StackSettings) -> None:
    home = real_time.ensure(settings)
    code = f"print(real_time.entered()); enter(); enter(); print(real_time.entered()); {IMPORTED}; enter()\n{CHILD}"
    other = str(home.parent / "other")
    said = run_in(home, code + "\nimport os; print(os.environ['PYTHONPATH'])", PYTHONPATH=other)
    assert said == ["False", "True", "99.0", "[]", "a-1.jar True", "99.0", os.pathsep.join((str(home), other))]


def test_a_command_enters_it_at_once_only_where_it_is_made_and_no_other_pyspark_is_loaded(
    settings: StackSettings,
) -> None:
    entering = "real_time.enter_if_made(); print(real_time.entered())"
    assert run_in(real_time.home(settings), entering, PYTHONPATH="") == ["False"]
    home = real_time.ensure(settings)
    assert run_in(home, f"{entering}; {IMPORTED}", PYTHONPATH="") == ["True", "99.0"]
    assert run_in(home, f"import pyspark; {entering}", PYTHONPATH="") == ["False"]


def test_once_another_pyspark_is_loaded_it_is_one_line(settings: StackSettings) -> None:
    home = real_time.ensure(settings)
    (said,) = run_in(
        home, "import pyspark\ntry: enter()\nexcept real_time.StackError as refused: print(refused)", PYTHONPATH=""
    )
    assert said.endswith("is loaded already, and real-time mode needs its own; start real-time mode in a new process")


def test_the_committed_sums_are_those_of_the_committed_list() -> None:
    sums = parts.read_sums(real_time.SUMS)
    assert {name.split("/")[0] for name in sums} == set(real_time.CONFIGURATIONS)
    listed = real_time.LISTED.read_text(encoding="utf-8")
    for name in sums:
        artifact, _, _version = name.removeprefix("spark/").rpartition("-")
        assert f'name="{artifact}"' in listed
