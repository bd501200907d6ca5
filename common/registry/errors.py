"""Translate answers of the schema registry for users."""

import httpx2 as httpx
from confluent_kafka.schema_registry.error import SchemaRegistryError

from common.errors import (
    AccessDenied,
    AdstreamError,
    ConfigError,
    SchemaIncompatible,
    SchemaNotFound,
    ServiceUnavailable,
)
from common.settings import RegistrySettings

# Missing subject, version or schema. In Confluent's registry also: deleted, or a subject without its own level.
_NOT_FOUND = (40401, 40402, 40403, 40404, 40405, 40406, 40407, 40408)


def unreached(error: httpx.TransportError, url: str) -> AdstreamError:
    """Return the user's line for a registry that cannot be reached."""
    if "CERTIFICATE" in str(error).upper():
        return AccessDenied(f"the certificate of {url} is not trusted", "check ADSTREAM_REGISTRY_SSL_CA_FILE")
    if "[SSL" in str(error):
        return ConfigError(f"{url} does not speak TLS", "check ADSTREAM_REGISTRY_URL: http or https")
    if isinstance(error, httpx.RemoteProtocolError) and url.startswith("http:"):
        return ServiceUnavailable(f"{url} closes the connection", "it may want https: check ADSTREAM_REGISTRY_URL")
    return ServiceUnavailable(
        f"no schema registry answers at {url}",
        "start one with `adstream up`, or set ADSTREAM_REGISTRY_URL",
    )


def translated(error: SchemaRegistryError, what: str, settings: RegistrySettings) -> AdstreamError:
    """Return the user's line for a refusal; `what` names the request."""
    url = settings.address
    status, code, text = error.http_status_code, error.error_code, str(error.error_message)
    if status == 401:
        return AccessDenied(
            f"the schema registry at {url} refuses these credentials",
            "check ADSTREAM_REGISTRY_USERNAME and ADSTREAM_REGISTRY_PASSWORD",
        )
    if status == 403:
        user = settings.username
        return AccessDenied(
            f"the schema registry at {url} does not let user {user!r} do this",
            "set ADSTREAM_REGISTRY_USERNAME to a user with this right",
        )
    if status == 404 and code in _NOT_FOUND:
        return SchemaNotFound(
            f"the schema registry at {url} does not know {what}",
            "register it with `adstream schema register`",
        )
    if status == 409:
        return SchemaIncompatible(
            f"the new schema of {what} is incompatible with what is registered ({_diffs(text)})",
            "give added fields a default, and keep the names and types of the others",
        )
    if status == 422:
        return SchemaIncompatible(f"the schema registry refuses the schema of {what}: {text}", "check its Avro JSON")
    if status == 429 or status >= 500:
        return ServiceUnavailable(f"the schema registry at {url} answers {status}", "look at its log")
    return ConfigError(f"{url} answers {status}, which no schema registry would", "check ADSTREAM_REGISTRY_URL")


def _diffs(message: str) -> str:
    """Return only the differences from Apicurio's `...RuleViolationException: ..., list of diff types: [...]`."""
    return message.rpartition("list of diff types: ")[2].strip("[]") or "no reason given"
