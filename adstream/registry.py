"""The schema registry: what is registered, under which id, and whether a new version fits.

One client, one timeout per call and one retry policy (adstream/retries.py). The client underneath waits for ever unless
it is given a timeout, and would keep answering "latest" from its cache; both are switched off here.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import httpx2 as httpx
from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from adstream import retries
from adstream.contracts import Contract
from adstream.errors import (
    AccessDenied,
    AdstreamError,
    ConfigError,
    SchemaIncompatible,
    SchemaNotFound,
    ServiceUnavailable,
)
from adstream.proxies import Proxy, proxy_for
from adstream.settings import RegistrySettings

T = TypeVar("T")
READY_POLL_SECONDS = 0.2
_NO_PROXY = "127.0.0.1"  # what is given where there is none, so that the client does not look for one; never asked
COMPATIBILITY = "BACKWARD"


@dataclass(frozen=True)
class Registered:
    """One version of a subject as the registry holds it; `text` is the schema's JSON."""

    id: int
    version: int
    text: str


class RegistryClient:
    """Every method raises ServiceUnavailable when nothing answers in time, AccessDenied for refused credentials."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._texts: dict[int, str] = {}
        self.url = settings.address

    @cached_property
    def _proxy(self) -> Proxy | None:
        """The proxy between here and the registry. Raises ConfigError for one that cannot be used."""
        proxy = proxy_for(self._settings.url)
        if proxy is not None and not proxy.is_http:
            raise ConfigError(
                f"{proxy.variable} names a SOCKS proxy, and the schema registry is asked through HTTP proxies only",
                "add the registry's host to no_proxy, or name an HTTP proxy",
            )
        return proxy

    @cached_property
    def _client(self) -> SchemaRegistryClient:
        settings = self._settings
        settings.require()
        config = {"url": settings.url, "timeout": settings.timeout_seconds, "max.retries": 0}
        if settings.username:
            config["basic.auth.user.info"] = f"{settings.username}:{settings.password.get_secret_value()}"
        if settings.ssl_ca_file:
            config["ssl.ca.location"] = str(settings.ssl_ca_file)
        try:
            return _asking_by(self._proxy, config)
        except OSError:
            named = ("ADSTREAM_REGISTRY_SSL_CA_FILE", settings.ssl_ca_file)
            usual = ((name, os.environ.get(name)) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
            option, file = next((each for each in (named, *usual) if each[1]), named)
            raise ConfigError(f"the CA file {file} cannot be read", f"check {option}") from None
        except ValueError:
            raise ConfigError(f"{self.url} is not a registry URL", "check ADSTREAM_REGISTRY_URL") from None

    def latest(self, subject: str) -> Registered:
        """The newest version of `subject`, asked anew each time. Raises SchemaNotFound."""
        self._client.clear_latest_caches()  # type: ignore[attr-defined]
        return _registered(self._call(lambda: self._client.get_latest_version(subject), subject))

    def versions(self, subject: str) -> list[Registered]:
        """All versions of `subject`, oldest first: every writer schema a reader may meet. Raises SchemaNotFound."""
        numbers = self._call(lambda: self._client.get_versions(subject), subject)
        return [_registered(self._call(lambda n=n: self._client.get_version(subject, n), subject)) for n in numbers]  # type: ignore[misc]

    def by_id(self, schema_id: int) -> str:
        """The schema's JSON; remembered, since an id never changes its meaning. Raises SchemaNotFound."""
        if schema_id not in self._texts:
            found = self._call(lambda: self._client.get_schema(schema_id), f"schema id {schema_id}")
            self._texts[schema_id] = found.schema_str
        return self._texts[schema_id]

    def register(self, contract: Contract) -> int:
        """Register `contract` as the next version of its subject, unless it is there; return its id.

        From the first version on the subject accepts only versions that can read what older ones wrote
        (BACKWARD). Raises SchemaIncompatible for one that cannot.
        """
        schema = Schema(contract.text, "AVRO")
        schema_id = self._call(lambda: self._client.register_schema(contract.subject, schema), contract.subject)
        self._call(lambda: self._client.set_compatibility(contract.subject, COMPATIBILITY), contract.subject)
        return schema_id

    def compatible(self, contract: Contract) -> list[str]:
        """What keeps `contract` from being registered, one sentence each; empty when it may be, or is the first."""
        schema = Schema(contract.text, "AVRO")
        try:
            newest = self.latest(contract.subject)
            fits = self._call(lambda: self._client.test_compatibility(contract.subject, schema), contract.subject)
        except SchemaNotFound:
            return []
        except SchemaIncompatible as refused:
            return [refused.problem]
        return [] if fits else [f"it cannot read what {contract.subject} version {newest.version} wrote"]

    def wait_ready(self, seconds: float) -> None:
        """Return once the registry answers. Raises ServiceUnavailable after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            try:
                self._once(self._client.get_subjects, "")
            except ServiceUnavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(READY_POLL_SECONDS)
            else:
                return

    def _call(self, action: Callable[[], T], what: str) -> T:
        self._settings.require()
        return retries.call(lambda: self._once(action, what), on=ServiceUnavailable)

    def _once(self, action: Callable[[], T], what: str) -> T:
        try:
            return action()
        except SchemaRegistryError as error:
            raise self._by_proxy(self._translated(error, what)) from None
        except httpx.TimeoutException:
            seconds = self._settings.timeout_seconds
            late = ServiceUnavailable(
                f"the schema registry at {self.url} did not answer within {seconds:g} s",
                "check that it is up, or raise ADSTREAM_REGISTRY_TIMEOUT_SECONDS",
            )
            raise self._by_proxy(late) from None
        except httpx.TransportError as error:
            raise self._by_proxy(self._unreached(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, httpx.HTTPError, httpx.InvalidURL):
            other = ConfigError(f"{self.url} answers, but not as a schema registry", "check ADSTREAM_REGISTRY_URL")
            raise self._by_proxy(other) from None

    def _by_proxy(self, error: AdstreamError) -> AdstreamError:
        """The error, with the variable of the proxy in between: it may be the proxy's fault."""
        if self._proxy is None or not isinstance(error, (ServiceUnavailable, AccessDenied, ConfigError)):
            return error
        problem = f"{error.problem}, asked through the proxy of {self._proxy.variable}"
        return type(error)(problem, f"{error.remedy}; without a proxy: add its host to no_proxy")

    def _unreached(self, error: httpx.TransportError) -> AdstreamError:
        if "CERTIFICATE" in str(error).upper():
            return AccessDenied(f"the certificate of {self.url} is not trusted", "check ADSTREAM_REGISTRY_SSL_CA_FILE")
        if "[SSL" in str(error):
            return ConfigError(f"{self.url} does not speak TLS", "check ADSTREAM_REGISTRY_URL: http or https")
        if isinstance(error, httpx.RemoteProtocolError) and self.url.startswith("http:"):
            return ServiceUnavailable(
                f"{self.url} closes the connection", "it may want https: check ADSTREAM_REGISTRY_URL"
            )
        return ServiceUnavailable(
            f"no schema registry answers at {self.url}", "start one with `adstream up`, or set ADSTREAM_REGISTRY_URL"
        )

    def _translated(self, error: SchemaRegistryError, what: str) -> AdstreamError:
        status, code, text = error.http_status_code, error.error_code, str(error.error_message)
        if status == 401:
            return AccessDenied(
                f"the schema registry at {self.url} refuses these credentials",
                "check ADSTREAM_REGISTRY_USERNAME and ADSTREAM_REGISTRY_PASSWORD",
            )
        if status == 403:
            user = self._settings.username
            return AccessDenied(
                f"the schema registry at {self.url} does not let user {user!r} do this",
                "set ADSTREAM_REGISTRY_USERNAME to a user with this right",
            )
        if status == 404 and code in (40401, 40402, 40403):
            return SchemaNotFound(
                f"the schema registry at {self.url} does not know {what}", "register it with `adstream schema register`"
            )
        if status == 409:
            return SchemaIncompatible(
                f"the new schema of {what} is incompatible with what is registered ({_diffs(text)})",
                "give added fields a default, and keep the names and types of the others",
            )
        if status == 422:
            return SchemaIncompatible(
                f"the schema registry refuses the schema of {what}: {text}", "check its Avro JSON"
            )
        if status == 429 or status >= 500:
            return ServiceUnavailable(f"the schema registry at {self.url} answers {status}", "look at its log")
        return ConfigError(
            f"{self.url} answers {status}, which no schema registry would", "check ADSTREAM_REGISTRY_URL"
        )


def _registered(found: RegisteredSchema) -> Registered:
    return Registered(found.schema_id, found.version, found.schema.schema_str)


def _diffs(message: str) -> str:
    """The differences alone, out of Apicurio's `...RuleViolationException: ..., list of diff types: [...]`."""
    return message.rpartition("list of diff types: ")[2].strip("[]") or "no reason given"


def _asking_by(proxy: Proxy | None, config: dict[str, Any]) -> SchemaRegistryClient:
    """The client, which asks through this proxy or directly, whatever the environment says. Raises as its constructor.

    By itself it takes the environment's proxies, this machine's own services included.
    """
    named = None
    if proxy is not None:
        login = (proxy.user, proxy.password) if proxy.user else None
        named = httpx.Proxy(f"{proxy.scheme}://{_bracketed(proxy.host)}:{proxy.port}", auth=login)
    client = SchemaRegistryClient({**config, "proxy": named or f"http://{_NO_PROXY}"})
    rest = client._rest_client  # type: ignore[attr-defined]
    rest.session.close()
    rest.session = httpx.Client(verify=rest.verify, auth=rest.auth, timeout=rest.timeout, proxy=named, trust_env=False)
    return client


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
