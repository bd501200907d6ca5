"""The Spark session of one job: this environment's Python, the fetched JVM parts, bounded memory, a log file."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import psutil
import pyspark
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from common import project
from common.errors import JobFailed
from common.settings import Settings
from common.system.data_folder import writing
from stack import parts, real_time, spark_environment
from stack.host import java
from stack.host.environment import named_options
from stack.host.executable import first_suitable, temporary
from stack.host.last_words import last_words
from streaming.iceberg import catalog as iceberg
from streaming.recovery.causes import told_as
from streaming.spark import class_archive, local_files, private_properties, shipping, state_store

# Spark logs an exception in foreachBatch with its trace; the runner reports it in one line.
logging.getLogger("py4j").setLevel(logging.CRITICAL)

# Without limits Avro believes the lengths in a message. False lengths have ended JVMs elsewhere, again after each
# restart.
_AVRO_LIMIT = 1_048_576
_AVRO_LIMITS = " ".join(
    f"-Dorg.apache.avro.limits.{what}={_AVRO_LIMIT}"
    for what in ("string.maxLength", "bytes.maxLength", "collectionItems.maxLength")
)
# The start of Spark and the plan of a batch are much code that runs rarely. HotSpot's second compiler takes a core for
# minutes to compile it. With a threshold five times as high, the first compiler keeps that code (docs/performance.md,
# "Starting Spark").
_SECOND_COMPILER = " ".join(
    f"-XX:Tier4{what}Threshold={usual * 5}"
    for what, usual in (("Invocation", 5_000), ("MinInvocation", 600), ("Compile", 15_000), ("BackEdge", 40_000))
)
# Python's transformWithState overflows the stream thread's stack with the default of 1 MB.
# Spark makes one long method of decoding and judging; beyond 8 kB of bytecode HotSpot would only interpret it.
_JAVA_OPTIONS = f"-Duser.timezone=UTC -Xss16m -XX:-DontCompileHugeMethods {_AVRO_LIMITS}"

# Otherwise Spark's threads die one by one, and the job hangs without a message.
_EXIT, _OUT_OF_MEMORY = "-XX:+ExitOnOutOfMemoryError", 3
_LAST_SECONDS, _LAST_BYTES = 10, 64 * 1024

# Spark's default is 50. Real time has two shuffles, and few rows come in this time at up to 1,000 events a second.
_SHUFFLE_WAIT_MILLIS = 2

# A real-time batch ends with a pause. By default Spark then looks for expired ids, and writes up to 64 MB of new state.
# With these properties each new id removes up to two expired ones meanwhile, and little is left to write.
_SHORT_PAUSES = {
    "spark.sql.streaming.statefulOperator.incrementalCleanupFactor": "2",
    "spark.sql.streaming.stateStore.rocksdb.writeBufferSizeMB": "16",
}

_LOCAL_WORKERS = resources.files("streaming.spark") / "worker-python"

STATE_STORES = {"rocksdb": state_store.ROCKSDB, "memory": state_store.MEMORY}


@contextlib.contextmanager
def spark_session(
    settings: Settings,
    name: str,
    *,
    master: str | None = None,
    lakehouse: bool = False,
    places: Iterable[str] = (),
    java_options: str | None = None,
) -> Iterator[SparkSession]:
    """Open a session as `open_session` does. At the end its JVM and workers are always gone.

    PySpark relies on the JVM to notice that Python has ended. A JVM interrupted while it starts does not notice. Raises
    JobFailed if the JVM ends before.
    """
    before = set(_children())
    try:
        session = open_session(
            settings, name, master=master, lakehouse=lakehouse, places=places, java_options=java_options
        )
        yield session
        session.stop()
    except (Py4JError, ConnectionError) as error:
        code = _ended_with()
        if code is None:
            raise
        raise _ended(settings, name, code) from error
    finally:
        _end(set(_children()) - before)


def one_attempt(settings: Settings, name: str, what: str) -> contextlib.AbstractContextManager[None]:
    """Raise JobFailed in place of an error of Spark, for a command that does not try again by itself.

    `name` is the session's, and `what` says what the command does.
    """
    remedy = f"see {log_of(settings, name)}, and run it again"
    return told_as(lambda cause: JobFailed(f"{what} failed: {cause}", remedy))


def _ended_with() -> int | None:
    """Return the exit code of the JVM, or None while it lives. A JVM that is about to end has a moment to do so."""
    jvm = getattr(SparkContext._gateway, "proc", None)
    if jvm is None:
        return None
    with contextlib.suppress(subprocess.TimeoutExpired):
        return int(jvm.wait(_LAST_SECONDS))
    return None


def _ended(settings: Settings, name: str, code: int) -> JobFailed:
    """Return the error for the user about a JVM that ended by itself."""
    log = log_of(settings, name)
    if code == _OUT_OF_MEMORY:
        memory = f"ADSTREAM_SPARK_DRIVER_MEMORY={settings.spark.driver_memory}"
        return JobFailed(f"Spark ran out of memory ({memory})", "raise that setting, and start the job again")
    end = max(0, log.stat().st_size - _LAST_BYTES) if log.exists() else 0
    return JobFailed(
        f"Spark's JVM ended with code {code}: {last_words(log, end)}", f"see {log}, and start the job again"
    )


def log_of(settings: Settings, name: str) -> Path:
    """Return the log of the Spark of the job `name`."""
    return (settings.data_dir / "logs" / f"{name}.log").absolute()


def _end(processes: Iterable[psutil.Process]) -> None:
    """End Spark's processes, and let PySpark forget them: the next session starts its own JVM."""
    interrupted = SparkContext._active_spark_context
    if interrupted is not None and interrupted._accumulatorServer is not None:
        interrupted._accumulatorServer.shutdown()  # it would print a trace about the end of the JVM
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None


def _children() -> list[psutil.Process]:
    """Return our processes in this terminal session; the local stack's services have sessions of their own."""
    ours = os.getsid(0)
    return [child for child in psutil.Process().children(recursive=True) if _session_of(child) == ours]


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def open_session(
    settings: Settings,
    name: str,
    *,
    master: str | None = None,
    lakehouse: bool = False,
    places: Iterable[str] = (),
    java_options: str | None = None,
) -> SparkSession:
    """Start Spark for the job `name`, with the Iceberg catalog of the settings if it is for the `lakehouse`.

    `places` are paths or URIs that the job uses. If one is on a Hadoop file system, the environment's configuration for
    Hadoop applies on a local master too. `java_options` are added to the driver's usual ones; without any the driver
    uses the class archive if there is one.

    Raises JobFailed if the JVM does not start, and ConfigError or StackError for a known cause.
    """
    spark = settings.spark
    log = log_of(settings, name)
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("a").close()
    parts.ensure(settings.stack)
    found = java.find_java(settings.stack.java_home)
    cache = parts.cache_root(settings.stack)
    own = first_suitable(settings.data_dir.absolute() / "java", cache / "java")
    where = master or spark.master
    alone = spark_environment.is_local(where)
    used = [*places, settings.lakehouse.warehouse, _hadoop_catalog(settings)]
    spark_environment.settle(where, used)
    quick_files = alone or local_files.suit(where, used, spark.properties)
    if alone or "//127.0.0.1:" in where:
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["JAVA_HOME"] = str(java.spark_home(found, own))
    # The environment may name another Spark, and by default workers run the system's Python.
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    os.environ["PYSPARK_PYTHON"] = str(_LOCAL_WORKERS if alone else spark.executor_python)
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHONPATH"] = project.python_path()
    executors = () if alone else ("spark", *((local_files.JARS,) if quick_files else ()))
    groups = [*executors, *(("lakehouse",) if lakehouse else ())]
    if java_options is None:
        java_options = class_archive.java_option(settings.stack, found)
    jars = [*(jar for group in groups for jar in parts.jars(group)), state_store.JAR]
    options = {
        "spark.jars": ",".join(map(str, jars)),
        "spark.driver.memory": spark.driver_memory,
        "spark.driver.extraJavaOptions": (
            f"{_JAVA_OPTIONS} {_compiler()} {_EXIT} {_driver_options(settings, name, log)} {java_options}".rstrip()
        ),
        "spark.executor.extraJavaOptions": f"{_JAVA_OPTIONS} {_compiler()}".rstrip(),
        "spark.ui.enabled": str(spark.ui).lower(),
        "spark.ui.showConsoleProgress": "false",
        private_properties.PATTERN_OPTION: private_properties.PATTERN,
        "spark.sql.session.timeZone": "UTC",
        "spark.executorEnv.TZ": "UTC",
        "spark.sql.shuffle.partitions": str(spark.shuffle_partitions),
        state_store.PROVIDER: STATE_STORES[spark.state_store],
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
        # To count its rows, RocksDB looks each row up a second time before it writes the row (docs/performance.md).
        "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows": str(spark.count_state_rows).lower(),
        # A killed driver can leave a state file beside the checksum of another attempt, and never start again. File
        # systems have checksums of their own (docs/decisions/0033-*.md).
        "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
        # Spark describes each batch's plan for its pages. The long description takes a twelfth of a small batch's time.
        "spark.sql.ui.explainMode": "simple",
        # By default PySpark tells the JVM the line of our code for each column: three calls of four.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    }
    if real_time.entered():
        # Real-time mode supports no other format. This one names each state by the attempt that made it.
        options["spark.sql.streaming.stateStore.checkpointFormatVersion"] = "2"
        # Before each shuffle a row waits until a network buffer is full, by default for 50 ms at most.
        options["spark.shuffle.streaming.networkBufferMaxWaitTimeMs"] = str(_SHUFFLE_WAIT_MILLIS)
        options |= _SHORT_PAUSES
    if lakehouse:
        options |= iceberg.spark_options(settings.lakehouse, str(settings.warehouse))
    if not alone:
        options |= shipping.spark_options(settings.data_dir.absolute() / "shipped")
    options |= spark.properties
    if quick_files:
        options |= _class_path(options) | local_files.OPTIONS
    options |= {"spark.master": where, "spark.app.name": f"adstream {name}"}
    before = log.stat().st_size
    try:
        with _jvm_output_to(log), _jvm_deaf_to_termination():
            private_properties.start_jvm(options)
            builder = SparkSession.builder
            for key, value in options.items():
                builder = builder.config(key, value)
            return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError):  # the JVM may be gone, and the cause with it
        remedy = f"see {log}{named_options()}"
        raise JobFailed(f"Spark did not start on {where}: {last_words(log, before)}", remedy) from None


def _compiler() -> str:
    """Return options for the JIT compiler.

    A real-time query runs for long and plans little, so the second compiler pays off. HotSpot throws away compiled code
    that has not run for minutes: the code of the next plan. It also compiles a branch that has never been taken as a
    trap, and throws the code away when that happens. In the loops of a query this is the end of the first batch.
    """
    return "-XX:-UseCodeCacheFlushing -XX:PerMethodTrapLimit=0" if real_time.entered() else _SECOND_COMPILER


def _class_path(options: dict[str, str]) -> dict[str, str]:
    """Put our jars in front of Spark's on the driver's class path, where the class archive expects them.

    The driver needs the local file system's jar before it reads `spark.jars`.
    """
    ours = [str(jar) for group in class_archive.CLASS_PATH for jar in parts.jars(group)]
    given = options.get(local_files.CLASS_PATH)
    return {local_files.CLASS_PATH: os.pathsep.join([*ours, *([given] if given else [])])}


def _driver_options(settings: Settings, job: str, log: Path) -> str:
    """Return the places of the driver's JVM: its log, and its temporary files."""
    level = settings.spark.log_level
    properties = {
        "log4j2.configurationFile": Path(str(resources.files("streaming.spark")))
        .joinpath("log4j2.properties")
        .as_uri(),
        "adstream.log": str(log),
        "adstream.log.pattern": str(log).replace("%", "%%"),
        "adstream.log.level": level,
        "adstream.kafka.log.level": "ERROR" if level == "WARN" else level,
        "adstream.log.format": settings.log.format,
        "adstream.job": job,
        "java.io.tmpdir": str(_scratch(settings)),
    }
    return " ".join(_quoted(f"-D{name}={value}") for name, value in properties.items())


def _scratch(settings: Settings) -> Path:
    """Return the folder for Java's native libraries. Spark splits its name at commas."""
    folders = (temporary(), settings.data_dir.absolute() / "tmp", parts.cache_root(settings.stack) / "tmp")
    return first_suitable(*(folder for folder in folders if "," not in str(folder)))


def _quoted(option: str) -> str:
    """Quote one option on a line that Spark divides at spaces."""
    return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _hadoop_catalog(settings: Settings) -> str:
    """Return the address of a catalog that Hadoop's configuration may describe further."""
    catalog = settings.lakehouse
    return catalog.uri or "hive://" if catalog.type == "hive" else ""


@contextlib.contextmanager
def _jvm_deaf_to_termination() -> Iterator[None]:
    """Let a JVM started in this context ignore SIGTERM, and keep our own handlers for SIGINT and SIGTERM.

    A SIGTERM to the whole process group must let the running batch finish. PySpark already shields the JVM from Ctrl-C,
    but installs a handler of its own that would cancel the batch. The JVM ends with this process, when its input
    closes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = signal.getsignal(signal.SIGINT)
    terminated = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)


@contextlib.contextmanager
def _jvm_output_to(log: Path) -> Iterator[None]:
    """Let a JVM started in this context write its output to the log, because it prints before it reads its settings.

    If Java itself does not start, its message goes to standard output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    try:
        with log.open("ab") as file:
            for descriptor, _ in kept:
                os.dup2(file.fileno(), descriptor)
        yield
    finally:
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)
