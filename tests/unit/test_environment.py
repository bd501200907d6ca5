"""Variables of a user's shell, and their effect on Java processes, a local job, and the imported PySpark."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from common.errors import ConfigError, StackError
from stack.host import java
from stack.host.environment import JAVA_OPTIONS, java_environment, named_options, of_a_service
from stack.host.java import find_java
from stack.host.last_words import last_words
from stack.host.paths import require_usable
from stack.spark_environment import left_out, settle, worth_telling
from tests.e2e.commands import adstream, one_line
from tests.installed import ROOT

HADOOP = ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "HIVE_CONF_DIR", "SPARK_CONF_DIR")
SPARK = ("PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_MASTER", "SPARK_DIST_CLASSPATH")


@pytest.fixture(autouse=True)
def _only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_")) or name in JAVA_OPTIONS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    java._inspect.cache_clear()


def test_options_for_every_java_stay_and_lose_against_ours() -> None:
    given = {"JAVA_TOOL_OPTIONS": "-Da=1", "_JAVA_OPTIONS": "-Xmx1m", "LANG": "en_US.UTF-8"}
    assert java_environment(given) == {"JAVA_TOOL_OPTIONS": "-Da=1 -Xmx1m", "LANG": "en_US.UTF-8"}
    assert java_environment({"LANG": "C.utf8"}) == {"LANG": "C.utf8"}


@pytest.mark.parametrize(
    "locale", [{}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "", "LANG": "de_DE@euro"}]
)
def test_file_names_are_utf_8_in_every_locale(locale: dict[str, str]) -> None:
    assert java_environment(locale)["LC_ALL"] == "C.UTF-8"


def test_our_heap_and_time_zone_hold_whatever_the_shell_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xmx20m -Duser.timezone=Asia/Tokyo")
    command = [find_java().executable, "-Xmx64m", "-Duser.timezone=UTC", "-XshowSettings:all", "-version"]
    said = subprocess.run(command, env=java_environment(os.environ), capture_output=True, text=True, check=True).stderr
    assert "Max. Heap Size: 64.00M" in said
    assert "user.timezone = UTC" in said


def test_a_service_gets_nothing_of_the_shell_but_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_OPTS", "CASSANDRA_CONF", "QUARKUS_HTTP_PORT", "CLASSPATH", "LC_ALL", "TZ", "HTTP_PROXY"):
        monkeypatch.setenv(name, "other")
    given = of_a_service()
    assert "other" not in given.values()
    assert (given["PATH"], given["LC_ALL"]) == (os.environ["PATH"], "C.UTF-8")


def test_options_with_which_no_java_starts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xbogus")
    with pytest.raises(StackError, match="no Java 17 starts with the options of JAVA_TOOL_OPTIONS; correct them, or"):
        find_java()
    with pytest.raises(StackError, match=r"or unset it, and try without JAVA_TOOL_OPTIONS$"):
        find_java(tmp_path)
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xbogus")
    assert named_options() == ", and try without JAVA_TOOL_OPTIONS and _JAVA_OPTIONS"
    line = one_line(adstream("up", "--free-ports", ADSTREAM_DATA_DIR=str(tmp_path / "data")))
    assert "the options of JAVA_TOOL_OPTIONS and _JAVA_OPTIONS" in line


def test_a_local_job_leaves_out_other_installations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*HADOOP, *SPARK):
        monkeypatch.setenv(name, "other")
    monkeypatch.setenv("SPARK_HOME", "/other")
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    assert left_out("local[2]", ["/data", "", "file:///data"]) == sorted((*HADOOP, *SPARK, "SPARK_HOME"))
    assert worth_telling("local[2]", []) == sorted((*HADOOP, *SPARK))
    settle("local[*]", [])
    assert not {*HADOOP, *SPARK, "SPARK_HOME"} & os.environ.keys()
    assert os.environ["SPARK_LOCAL_DIRS"] == str(tmp_path)


def test_what_reaches_a_hadoop_file_system_stays_where_the_job_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*HADOOP, *SPARK):
        monkeypatch.setenv(name, "other")
    assert left_out("local[2]", ["/data", "hdfs://name/checkpoint"]) == sorted(SPARK)


@pytest.mark.parametrize("master", ["yarn", "spark://host:7077", "k8s://https://host"])
def test_a_cluster_keeps_what_says_where_and_how_it_is(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*HADOOP, *SPARK):
        monkeypatch.setenv(name, "other")
    assert left_out(master, []) == ["PYSPARK_GATEWAY_PORT", "SPARK_REMOTE"]


def test_a_folder_for_sparks_own_files_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path / 'new'},{tmp_path / 'file' / 'below'}")
    with pytest.raises(ConfigError, match=r"^SPARK_LOCAL_DIRS names .*below, which cannot be written; correct"):
        settle("local[2]", [])


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_another_pyspark_on_pythonpath_is_not_imported(kind: str, tmp_path: Path) -> None:
    other = tmp_path / "python"
    for package in ("pyspark", "py4j"):
        (other / package).mkdir(parents=True)
        (other / package / "__init__.py").write_text("raise SystemExit('another one')\n")
    if kind == "archive":
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
            for package in ("pyspark", "py4j"):
                archive.write(other / package / "__init__.py", f"{package}/__init__.py")
        other = tmp_path / "other.zip"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "helper.py").write_text("")
    code = (
        "from common.system.python_path import leave_other_pysparks as leave; import os; print(leave());"
        "import pyspark, py4j, helper; print(pyspark.__file__); print(os.environ['PYTHONPATH'])"
    )
    paths = os.pathsep.join(map(str, (other, mine, ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left, imported, path = done.stdout.splitlines()
    assert left == str([str(other)])
    assert "site-packages" in imported
    assert path == os.pathsep.join(map(str, (mine, ROOT)))


@pytest.mark.parametrize("letter", list(":,*?[]{}\\="))
def test_a_cache_that_java_would_take_for_something_else_is_one_line(letter: str, tmp_path: Path) -> None:
    cache = tmp_path / f"a{letter}b"
    with pytest.raises(StackError, match=r"set ADSTREAM_STACK_CACHE_DIR to another folder$") as refused:
        require_usable(cache, tmp_path)
    assert f"there is a {letter} in its path" in refused.value.problem
    own = {"ADSTREAM_STACK_CACHE_DIR": str(cache), "ADSTREAM_DATA_DIR": str(tmp_path / "data")}
    if letter in ":,":
        assert f"there is a {letter} in its path" in one_line(adstream("up", "--free-ports", **own))
        assert not cache.exists()


@pytest.mark.parametrize("letters", ["a b", "d'or", "Büro", "漢字", "#1", "100%", '"', "$HOME", "&;", "~", "@"])
def test_a_cache_of_other_letters_is_used(letters: str, tmp_path: Path) -> None:
    require_usable(tmp_path / letters, tmp_path / letters)


NO_EXEC = """
import sys
from pathlib import Path
from common.errors import StackError
from stack.host.executable import allows_programs, first_suitable

without, other = map(Path, sys.argv[1:])
assert allows_programs(other / "not" / "there")
assert not allows_programs(without / "not" / "there")
assert first_suitable(without / "x", other / "new") == other / "new"
assert (other / "new").is_dir() and not (without / "x").exists()
try:
    first_suitable(without, without / "x")
except StackError as refused:
    print(refused)
"""


def test_a_folder_in_which_nothing_may_be_executed_is_passed_over(tmp_path: Path) -> None:
    without = tmp_path / "noexec"
    without.mkdir()
    mount = 'mount -t tmpfs -o noexec tmpfs "$1" && shift && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", without, sys.executable, "-c", NO_EXEC, without, tmp_path]
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets its users mount nothing")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"Java needs a folder for native libraries, and programs may be executed neither in {without} nor {without}/x; "
        "set TMPDIR or ADSTREAM_DATA_DIR to a folder on a file system that is mounted without noexec\n"
    )


def test_the_last_words_are_those_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("ERROR of yesterday\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.write(
            "NOTE: Picked up JDK_JAVA_OPTIONS: -Derror:=1\nPicked up JAVA_TOOL_OPTIONS: -Xerror:\nInvalid value\n"
        )
    assert last_words(log, start) == "Invalid value"
    assert last_words(log) == "ERROR of yesterday"
