"""Checks of a machine before anybody tries adstream. Each check returns findings, and `CHECKS` lists the checks.

Other parts append their own `Check` to `CHECKS`.
"""

import platform
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from common import kafka
from common.errors import AdstreamError, ServiceUnavailable, TopicNotFound
from common.kafka import clocks
from common.provision import event_topics
from common.settings import Settings
from common.system.checkpoint_folders import RECORD, records, topics
from common.system.python_path import OWN_PARTS
from stack import parts, real_time, state
from stack.checks import machine_checks
from stack.checks.doctor_schemas import writer_schemas
from stack.checks.doctor_transactions import open_transactions
from stack.checks.finding import Finding as Finding
from stack.host import ports
from stack.host.java import find_java, system_bundle
from stack.host.machine import DISK_NEEDED, MEMORY_NEEDED, available_memory, free_disk, gigabytes
from stack.local import SERVICES
from stack.security.certificates import valid_until
from stack.security.secured import find as find_secured
from stack.spark_environment import is_local

_NEW_CERTIFICATE = "`adstream down --secured`, delete ca.pem and server.pem, and `adstream up --secured`"


Check = Callable[[Settings], list[Finding]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield every check's findings; an AdstreamError of a check is a FAIL."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except AdstreamError as error:
            yield Finding("FAIL", check.__name__.replace("_", " "), error.problem, error.remedy)


def python(_settings: Settings) -> list[Finding]:
    """Check the interpreter that runs this command."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [Finding("OK", "Python", f"{version} at {sys.executable}")]
    remedy = "rm -rf .venv && make setup PYTHON=python3.11"
    return [Finding("FAIL", "Python", f"{version}, and 3.11 to 3.13 is needed", remedy)]


def spark_interpreter(settings: Settings) -> list[Finding]:
    """Return the Python interpreter of Spark's workers, whatever PYSPARK_PYTHON says."""
    spark = settings.spark
    which = "this one" if is_local(spark.master) else f"{spark.executor_python} on the machines of {spark.master}"
    return [Finding("OK", "Spark's Python", which)]


def java(settings: Settings) -> list[Finding]:
    """Check the Java for the services and Spark."""
    found = find_java(settings.stack.java_home)
    return [Finding("OK", "Java", f"{found.version} from {found.origin} at {found.home}")]


def trusted_authorities(_settings: Settings) -> list[Finding]:
    """Name the certificate authorities that downloads by Java would trust."""
    bundle = system_bundle()
    if bundle:
        return [Finding("OK", "trust store", f"the system's authorities, {bundle}")]
    remedy = "behind a TLS proxy set SSL_CERT_FILE to a PEM file with its authority"
    return [Finding("WARN", "trust store", "no bundle of the system's was found; Java's own is used", remedy)]


def jvm_parts(settings: Settings) -> list[Finding]:
    """Check that the JVM parts are in the cache and unchanged."""
    home = parts.home(settings.stack)
    if not home.is_dir():
        return [Finding("WARN", "JVM parts", f"not fetched yet: {home}", "`adstream up` fetches them (225 MB)")]
    if wrong := parts.wrong_files(home, parts.read_sums()):
        detail = f"{len(wrong)} files in {home} are not what they should be, the first is {wrong[0]}"
        return [Finding("FAIL", "JVM parts", detail, f"delete {home}; the next `adstream up` fetches it again")]
    return [Finding("OK", "JVM parts", f"complete, and every sum is right: {home}")]


def real_time_environment(settings: Settings) -> list[Finding]:
    """Check that real-time mode could start at once, and that its JVM parts are unchanged."""
    subject, home = "real-time mode", real_time.home(settings.stack)
    if not home.is_dir():
        return [Finding("OK", subject, "its Spark is not here; the first use fetches it, or `make real-time` (450 MB)")]
    if wrong := parts.wrong_files(home / OWN_PARTS, parts.read_sums(real_time.SUMS)):
        detail = f"{len(wrong)} files in {home} are not what they should be, the first is {wrong[0]}"
        return [Finding("FAIL", subject, detail, f"delete {home}; the next use makes it again")]
    return [Finding("OK", subject, f"its Spark is here, and the sums of its JVM parts are right: {home}")]


def service_ports(settings: Settings) -> list[Finding]:
    """Check that each service could listen on its port."""
    current = state.read(settings.data_dir.absolute())
    findings = []
    for service in SERVICES:
        subject = f"port for {service.title}"
        entry = current.services.get(service.name)
        if entry and entry.running.process():
            findings.append(Finding("OK", subject, f"{entry.ports[service.name]}, where it runs now"))
            continue
        port = ports.asked_for(service.name, settings.stack, current.ports) or current.ports.get(service.name)
        if port and (why := ports.held(port)):
            remedy = f"`adstream up --{service.name}-port N` or `--free-ports`"
            findings.append(Finding("FAIL", subject, f"{port} {why}", remedy))
        else:
            findings.append(Finding("OK", subject, f"{port} is free" if port else "any free one"))
    return findings


def certificate(settings: Settings) -> list[Finding]:
    """Check that clients still accept the certificate of a secured stack."""
    secured = find_secured(settings.data_dir.absolute())
    if secured is None:
        return []
    try:
        until = valid_until(secured.server.read_bytes())
    except ValueError:
        return [Finding("FAIL", "certificate", f"{secured.server} cannot be read", _NEW_CERTIFICATE)]
    verdict: Literal["OK", "FAIL"] = "OK" if until > datetime.now(UTC) else "FAIL"
    remedy = "" if verdict == "OK" else _NEW_CERTIFICATE
    return [Finding(verdict, "certificate", f"valid until {until:%Y-%m-%d}: {secured.server}", remedy)]


def memory(settings: Settings) -> list[Finding]:
    """Check the memory for the stack and one job."""
    free = available_memory()
    detail = f"{gigabytes(free)} available"
    if free >= MEMORY_NEEDED:
        return [Finding("OK", "memory", detail)]
    if any(entry.running.process() for entry in state.read(settings.data_dir.absolute()).services.values()):
        return [Finding("WARN", "memory", f"{detail} beside the running stack", "close other programs")]
    return [Finding("FAIL", "memory", f"{detail}, and {gigabytes(MEMORY_NEEDED)} are needed", "close other programs")]


def disk(settings: Settings) -> list[Finding]:
    """Check the disk space for the data and for the cache."""
    findings = []
    for subject, path in (("data", settings.data_dir.absolute()), ("cache", parts.cache_root(settings.stack))):
        free = free_disk(path)
        detail = f"{gigabytes(free)} free at {path}"
        if free >= DISK_NEEDED:
            findings.append(Finding("OK", f"disk for {subject}", detail))
        else:
            findings.append(
                Finding(
                    "FAIL", f"disk for {subject}", f"{detail}, and {gigabytes(DISK_NEEDED)} are needed", "free some"
                )
            )
    return findings


def checkpoints(settings: Settings) -> list[Finding]:
    """Check that each checkpoint's topic is still the same one. Checkpoints over files or a socket have none."""
    findings = []
    for folder, made_with in records(settings):
        subject = f"checkpoint {folder.name}"
        if made_with is None:
            remedy = f"restore it from a backup, or move {folder} away"
            findings.append(Finding("FAIL", subject, f"its {RECORD} cannot be read", remedy))
        elif "topic" in made_with:
            findings.append(_compared(settings, folder, made_with))
    return findings


def _compared(settings: Settings, folder: Path, made_with: dict[str, Any]) -> Finding:
    subject, topic = f"checkpoint {folder.name}", made_with["topic"]
    try:
        same = kafka.topic_id(settings, topic) == made_with.get("topic_id")
    except ServiceUnavailable:
        return Finding("OK", subject, "not compared with its topic, as Kafka does not run")
    except TopicNotFound:
        same = False
    if same:
        return Finding("OK", subject, f"belongs to the topic {topic} that there is")
    return Finding("FAIL", subject, "was made for a topic that is no more", f"move {folder} away")


def broker_time(settings: Settings) -> list[Finding]:
    """Check that every topic of a contract, and of a checkpoint, has the broker's time, not the producers'."""
    wanted = topics(settings)
    kafka_here = state.read(settings.data_dir.absolute()).services.get("kafka")
    named = "bootstrap_servers" in settings.kafka.model_fields_set
    if not (wanted or named or (kafka_here and kafka_here.running.process())):
        return []  # a machine on which nothing has run yet
    wanted |= event_topics(settings)
    try:
        found = clocks.by_topic(settings, wanted)
    except ServiceUnavailable:
        return [Finding("OK", "broker time", "not looked at, as Kafka does not run")]
    wrong = [
        Finding(
            "WARN", f"clock of {name}", clocks.producers_clock(name).partition(": ")[2].partition(";")[0], clocks.REMEDY
        )
        for name, stamped in sorted(found.items())
        if stamped
    ]
    unknown = [name for name, stamped in sorted(found.items()) if stamped is None]
    if unknown:
        detail = f"not known for {', '.join(unknown)}"
        wrong.append(
            Finding("WARN", "broker time", detail, "ask with a user who may describe the configuration of topics")
        )
    return wrong or [Finding("OK", "broker time", f"{len(found)} topics, all stamped by the broker's clock")]


CHECKS: list[Check] = [
    python,
    spark_interpreter,
    java,
    trusted_authorities,
    jvm_parts,
    real_time_environment,
    service_ports,
    machine_checks.services,
    machine_checks.proxy,
    machine_checks.variables,
    machine_checks.temporary_folder,
    certificate,
    memory,
    disk,
    checkpoints,
    broker_time,
    writer_schemas,
    open_transactions,
]
