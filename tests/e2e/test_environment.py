"""A user's machine: other installations' variables, and a data folder with special characters, from `up` to `down`."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from common.own_stack import STACK_FILE
from common.settings import Settings
from stack import parts
from tests.e2e.commands import SECONDS, adstream, free_port, one_line
from tests.installed import ROOT, install

EVENTS = "2000"
# All characters that have a meaning for Java, Spark, Hadoop, Kafka, H2, log4j or a shell.
LETTERS = 'the data\'s, "Büro": #1 & 100% $HOME [x] {y} ;z=漢'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("machine") / LETTERS
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files, mounted `noexec` if this user may mount."""
    folder = tmp_path_factory.mktemp("temporary") / "the user's, tmp"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "noexec,size=512m", "tmpfs", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> dict[str, str]:
    """Variables of other installations in a shell, each as wrong as possible for a local job."""
    other = tmp_path_factory.mktemp("other")
    for package in ("pyspark", "py4j"):
        (other / "python" / package).mkdir(parents=True)
        (other / "python" / package / "__init__.py").write_text("raise SystemExit('another PySpark was imported')\n")
    conf = other / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(
        "spark.master yarn\nspark.jars /nowhere/other.jar\nspark.plugins no.such.Plugin\n"
        "spark.sql.session.timeZone Asia/Tokyo\nspark.sql.extensions no.such.Extension\n"
    )
    (conf / "spark-env.sh").write_text("echo 'another installation was started' >&2; exit 3\n")
    (conf / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>hdfs://nowhere:9000</value></property></configuration>"
    )
    proxy = f"http://someone:canary@127.0.0.1:{free_port()}"
    return {
        **{name: proxy for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())},
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
        **{name: str(conf) for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_CONF_DIR", "HIVE_CONF_DIR")},
        "SPARK_HOME": str(other),
        "SPARK_LOCAL_IP": "192.0.2.1",
        "SPARK_LOCAL_HOSTNAME": "nowhere.invalid",
        "SPARK_REMOTE": "sc://nowhere.invalid",
        "SPARK_DIST_CLASSPATH": "/nowhere/*",
        "SPARK_ENV_LOADED": "1",
        "PYSPARK_SUBMIT_ARGS": "--master yarn --deploy-mode cluster",
        "PYSPARK_GATEWAY_PORT": "1",
        "PYSPARK_GATEWAY_SECRET": "x",
        "PYSPARK_PYTHON": "/nowhere/python",
        "PYSPARK_DRIVER_PYTHON": "jupyter",
        "PYTHONPATH": f"{other / 'python'}{os.pathsep}{ROOT}",
        "CLASSPATH": "/nowhere",
        "JAVA_HOME": "/nowhere",
        "JAVA_TOOL_OPTIONS": "-Dlog4j2.configurationFile=/nowhere -Djava.io.tmpdir=/nowhere",
        "_JAVA_OPTIONS": "-Xmx24m -Duser.timezone=Asia/Tokyo",
        "KAFKA_OPTS": "-Xbogus",
        "KAFKA_HEAP_OPTS": "-Xmx1m",
        "CASSANDRA_CONF": "/nowhere",
        "CASSANDRA_HOME": "/nowhere",
        "QUARKUS_HTTP_PORT": "1",
        "QUARKUS_DATASOURCE_JDBC_URL": "jdbc:h2:mem:lost",
        "CQLSH_HOST": "nowhere.invalid",
        "TMPDIR": str(temporary),
        "TZ": "America/New_York",
        "LC_ALL": "C",
        "LANG": "C",
        "COLUMNS": "20",
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JVM parts of this machine in a folder with special characters."""
    made = tmp_path_factory.mktemp("cache") / 'the cache\'s "Büro" #1 & 100% $HOME ;漢'
    there = parts.ensure(Settings().stack)

    def linked(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # the target is on another file system
            shutil.copy2(source, target)

    shutil.copytree(there, made / there.name, copy_function=linked)
    return made


@pytest.fixture(scope="module")
def machine(folder: Path, cache: Path, hostile: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a stack that runs with these variables, data folder and cache."""
    own = {"ADSTREAM_DATA_DIR": str(folder / "data"), "ADSTREAM_STACK_CACHE_DIR": str(cache)}
    environment = {**hostile, **own, "ADSTREAM_SPARK_UI": "false"}
    try:
        up = adstream("up", "--free-ports", **environment)
        assert up.returncode == 0, up.stderr
        yield environment
    finally:
        down = adstream("down", **environment)
        assert "the data are kept" in down.stdout, down.stderr


def done(environment: dict[str, str], *arguments: str) -> str:
    ended = adstream(*arguments, **environment)
    assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}"
    assert "canary" not in ended.stdout + ended.stderr
    return ended.stdout


def test_the_ads_are_counted_whatever_the_shell_has_and_wherever_the_data_are(
    machine: dict[str, str], folder: Path
) -> None:
    registered = done(machine, "schema", "register")
    assert f"(the stack in {folder / 'data'})" in registered
    assert "keyspace ads in Cassandra at 127.0.0.1:" in done(machine, "migrate")
    done(machine, "produce", "ads", "--count", EVENTS, "--broken", "0.05", "--late", "0.05")
    told = done(machine, "stream", "ad-metrics", "--once")
    assert "not used by a job on local[2]: HADOOP_CONF_DIR, HIVE_CONF_DIR, PYSPARK_GATEWAY_PORT" in told
    assert "equal: " in done(machine, "verify", "ad-metrics")

    shown = adstream("cql", "SELECT toTimestamp(now()) FROM system.local", **machine)
    assert (shown.returncode, shown.stderr) == (0, "times are UTC\n")
    told_at = datetime.strptime(shown.stdout.splitlines()[3].strip(), "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - told_at) < timedelta(minutes=10)


def test_daily_sales_from_raw_rows_to_validated_summaries_without_any_service(
    hostile: dict[str, str], cache: Path, folder: Path
) -> None:
    data = folder / "of no service"
    own = {"ADSTREAM_DATA_DIR": str(data), "ADSTREAM_STACK_CACHE_DIR": str(cache), "ADSTREAM_SPARK_UI": "false"}

    def run(*arguments: str) -> str:
        return done({**hostile, **own, "COLUMNS": "200"}, *arguments)

    assert "999 raw sales of 2025-01-14 to 2025-01-16 stored" in run("produce", "daily-sales", "--sample")
    said = run("batch", "daily-sales", "--date", "2025-01-15")
    assert "sales_daily_summary" in said
    assert "333 raw rows -> 3 summaries (111x fewer)" in said
    assert (data / "warehouse").is_dir()
    shown = [line.split()[:3] for line in run("show", "daily-sales").splitlines()]
    assert [line[:2] for line in shown if line and line[0] == "2025-01-15"] == [
        ["2025-01-15", product] for product in ("101", "102", "103")
    ]
    checked = run("validate", "daily-sales", "--clean-up")
    assert "ok     summaries add up to the raw sales: 333 raw rows, 3 summaries" in checked
    assert "removed lakehouse.demo.sales_daily_summary" in checked


def test_status_keeps_paths_whole(machine: dict[str, str], folder: Path) -> None:
    shown = done(machine, "status")
    for service in ("kafka", "registry", "cassandra"):
        assert f"{folder / 'data' / 'logs' / service}.log" in shown


def test_ctrl_c_while_kafkas_folder_is_formatted_is_no_error(tmp_path: Path) -> None:
    environment = os.environ | {"ADSTREAM_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "adstream.cli", "up", "--free-ports"]
    output = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=output, stderr=output, text=True, start_new_session=True
    ) as starting:
        deadline = time.monotonic() + SECONDS
        while not formatting(starting.pid):
            assert starting.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(starting.pid, signal.SIGINT)  # as the terminal does for the whole process group
        said, errors = starting.communicate(timeout=SECONDS)
    assert starting.returncode == 130, said + errors
    assert "error" not in said + errors
    assert "stopping what was started" in said
    assert formatting(starting.pid) == []
    assert json.loads((tmp_path / "data" / STACK_FILE).read_text())["services"] == {}


def formatting(pid: int) -> list[int]:
    """Return the process that formats Kafka's storage, below any parent."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return [each.pid for each in children if any("StorageTool" in part for part in each.cmdline())]
    except psutil.Error:
        return []


def test_a_start_of_spark_that_fails_says_the_last_line_of_its_log(tmp_path: Path) -> None:
    """Java refuses, Spark refuses, or the user's options clash. In the last case the line names their variable."""
    two_collectors = {
        "JAVA_TOOL_OPTIONS": "-XX:+UseSerialGC",
        "ADSTREAM_SPARK_PROPERTIES": "spark.driver.defaultJavaOptions=-XX:+UseZGC",
    }
    for environment, said in (
        ({"ADSTREAM_SPARK_DRIVER_MEMORY": "1m"}, "Initial heap size|heap"),
        ({"ADSTREAM_SPARK_PROPERTIES": "spark.plugins=no.such.Plugin"}, "no.such.Plugin"),
        ({"ADSTREAM_SPARK_MASTER": "local[none]"}, "Could not parse Master URL: 'local.none.'"),
        (two_collectors, "garbage collectors selected.*, and try without JAVA_TOOL_OPTIONS and JDK_JAVA_OPTIONS"),
    ):
        own = {"ADSTREAM_DATA_DIR": str(tmp_path / "data"), **environment}
        ended = adstream("sql", "user-clicks", "select 1", "--files", tmp_path, **own)
        starting, line = ended.stderr.splitlines()
        assert (ended.returncode, starting) == (1, "starting Spark for user-clicks")
        assert re.search(rf"^error: Spark did not start on local\[.*\]: .*({said})", line), line
        assert f"; see {tmp_path}/data/logs/user-clicks.log" in line


def test_after_down_the_commands_use_nobody_elses_services(tmp_path: Path, stack: Settings) -> None:
    """A folder whose own stack is down must not reach other services by default. This session's services do answer."""
    own = {"ADSTREAM_DATA_DIR": str(tmp_path / "own")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        one_line(adstream("up", "--free-ports", "--kafka-port", port, **own))
    for command in (("migrate",), ("schema", "register"), ("reset", "ad-metrics", "--yes")):
        assert f"of the stack in {tmp_path / 'own'} does not run; start one with `adstream up`" in one_line(
            adstream(*command, **own)
        )
    named = {"ADSTREAM_CASSANDRA_HOSTS": "127.0.0.1", "ADSTREAM_CASSANDRA_PORT": str(stack.cassandra.port)}
    done = adstream("migrate", ADSTREAM_CASSANDRA_KEYSPACE="named", **own, **named)
    assert done.returncode == 0, done.stderr
    assert f"at 127.0.0.1:{stack.cassandra.port} (ADSTREAM_CASSANDRA_HOSTS and ADSTREAM_CASSANDRA_PORT)" in done.stdout


def test_doctor_says_whose_services_are_used_and_what_is_not(machine: dict[str, str], folder: Path) -> None:
    found = json.loads(adstream("doctor", "--json", **machine).stdout)
    details = {each["detail"] for each in found}
    assert sum(f"(the stack in {folder / 'data'})" in each for each in details) == 3
    assert any("the schema registry is asked directly" in each for each in details)
    assert any(each.startswith("not used by a job on local[2]: HADOOP_CONF_DIR") for each in details)


def test_a_project_and_its_input_work_in_folders_of_any_letters(tmp_path: Path) -> None:
    place = tmp_path / "the project's, Büro #1 & 100% 漢"
    place.mkdir()
    program = install(place)
    inbox, data = place / "inbox (x), 50% #2 ;", place / "data"
    own = {"ADSTREAM_DATA_DIR": str(data), "ADSTREAM_SPARK_UI": "false", "LC_ALL": "C"}
    made = program.run(place, "adstream", "produce", "mobile-actions", "--sample", "--files", str(inbox), **own)
    assert made.returncode == 0, made.stderr
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in inbox.iterdir())
    (inbox / "broken.json").write_text("this has a batch read again\n")
    query = "select sum(actions) as n from mobile_actions"
    read = program.run(place, "adstream", "sql", "mobile-actions", query, "--files", str(inbox), "--json", **own)
    assert read.returncode == 0, read.stderr
    assert "not_json: this has a batch read again" in read.stderr
    assert f"batch 0 · {lines + 1} events in " in read.stderr
    assert json.loads(read.stdout) == {"n": 16}  # the same result as in tests/e2e/test_inputs.py
    assert (data / "logs" / "mobile-actions.log").is_file()
