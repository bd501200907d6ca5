"""Doctor's check of the schemas that are registered for the topics of the contracts."""

from common import contracts
from common.avro.writer_schemas import Refusal, resolution, unreadable_line
from common.contracts import Contract
from common.errors import AccessDenied, SchemaNotFound, ServiceUnavailable
from common.provision import topic_of
from common.registry import RegistryClient
from common.settings import Settings
from stack.checks.finding import Finding

_SUBJECT = "registered schemas"


def writer_schemas(settings: Settings) -> list[Finding]:
    """Check that each contract can read every version of its topic's subject."""
    registry = RegistryClient(settings.registry)
    findings, count = [], 0
    for name in contracts.names():
        reader, subject = contracts.latest(name), f"{topic_of(settings, name)}-value"
        try:
            versions = registry.versions(subject)
        except SchemaNotFound:
            continue
        except (ServiceUnavailable, AccessDenied) as error:
            return [Finding("OK", _SUBJECT, f"not read: {error.problem}")]
        count += len(versions)
        for found in versions:
            why = resolution(found.text, reader)
            if isinstance(why, Refusal):
                detail = unreadable_line(found.id, Contract(subject, found.version, found.text), why)
                remedy = "have its producer use a version that the contract can read, then replay the dead letters"
                findings.append(Finding("WARN", _SUBJECT, detail, remedy))
    return findings or [Finding("OK", _SUBJECT, f"the contracts can read all {count} versions")]
