"""Checks of `doctor` on the user's environment: services, proxy, and variables that jobs ignore."""

from common.errors import AdstreamError
from common.settings import Settings
from common.system import proxies
from stack import parts, spark_environment
from stack.checks.finding import Finding
from stack.host.environment import java_options_set
from stack.host.executable import allows_programs, first_suitable, temporary


def services(settings: Settings) -> list[Finding]:
    """Check whose Kafka, registry and Cassandra the commands use."""
    findings = []
    for service in (settings.kafka, settings.registry, settings.cassandra):
        try:
            findings.append(Finding("OK", "commands use", service.where))
        except AdstreamError as stopped:
            findings.append(Finding("WARN", "commands use", stopped.problem, stopped.remedy))
    return findings


def proxy(settings: Settings) -> list[Finding]:
    """Check the proxy between here and the registry, and the proxy for downloads."""
    used = {found for scheme in ("http", "https") if (found := proxies.proxy_of(scheme))}
    if not used:
        return []
    named = ", ".join(sorted({each.variable for each in used}))
    asked = proxies.proxy_for(settings.registry.url)
    how = f"through that of {asked.variable}" if asked else "directly"
    return [Finding("OK", "proxy", f"{named} for downloads; the schema registry is asked {how}")]


def variables(settings: Settings) -> list[Finding]:
    """Return the variables of other installations of Spark and Hadoop, and the variables that every Java reads."""
    findings = []
    master = settings.spark.master
    if unused := spark_environment.worth_telling(master, [settings.lakehouse.warehouse]):
        findings.append(Finding("OK", "variables", f"not used by a job on {master}: {', '.join(unused)}"))
    if options := java_options_set():
        findings.append(Finding("OK", "variables", f"every Java gets the options of {' and '.join(options)}"))
    return findings


def temporary_folder(settings: Settings) -> list[Finding]:
    """Check that Java can load native libraries from this folder, or from another one."""
    folder = temporary()
    if allows_programs(folder):
        return [Finding("OK", "temporary folder", f"{folder}")]
    instead = first_suitable(settings.data_dir.absolute() / "tmp", parts.cache_root(settings.stack) / "tmp")
    detail = f"no program may be executed in {folder}; Java unpacks its libraries in {instead}"
    return [Finding("OK", "temporary folder", detail)]
