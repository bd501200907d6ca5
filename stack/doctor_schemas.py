"""Doctor's check of the schemas that are registered for the topics of the contracts."""

from adstream import contracts
from adstream.contracts import Contract
from adstream.errors import AccessDenied, SchemaNotFound, ServiceUnavailable
from adstream.provision import topic_of
from adstream.registry import RegistryClient
from adstream.settings import Settings
from adstream.writer_schemas import Refusal, resolution, unreadable_line
from stack.finding import Finding

_SUBJECT = "registered schemas"


def writer_schemas(settings: Settings) -> list[Finding]:
    """Whether each contract can read every version of its topic's subject."""
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
