"""The schema registry: what is registered, under which id, and whether a new version fits.

One client, one timeout per call and one retry policy (common/retries.py). The client underneath waits for ever unless
it is given a timeout, and would keep answering "latest" from its cache; both are switched off here. The client's stubs
are older than the client: hence each `type: ignore`.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import httpx2 as httpx
from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from common import retries
from common.contracts import Contract
from common.errors import (
    AccessDenied,
    AdstreamError,
    ConfigError,
    SchemaIncompatible,
    SchemaNotFound,
    ServiceUnavailable,
)
from common.registry.schema_text import same_schema, self_contained
from common.settings import RegistrySettings
from common.system.proxies import Proxy, proxy_for

T = TypeVar("T")
READY_POLL_SECONDS = 0.2
_NO_PROXY = "127.0.0.1"  # what is given where there is none, so that the client does not look for one; never asked
COMPATIBILITY = "BACKWARD"
AVRO = "AVRO"
_MOST_REFERENCES = 100
_UNSET = "NONE"
# No subject, no version, no schema; Confluent: a subject that was deleted, a version that was, no level of its own.
_NOT_FOUND = (40401, 40402, 40403, 40404, 40405, 40406, 40407, 40408)


@dataclass(frozen=True)
class Registered:
    """One version of a subject as the registry holds it; `text` is the schema's JSON.

    Types of other subjects are written out in `text`. `kind` is AVRO, or PROTOBUF or JSON with another sort of text.
    """

    id: int
    version: int
    text: str
    subject: str = ""
    kind: str = AVRO


class RegistryClient:
    """Every method raises ServiceUnavailable when nothing answers in time, AccessDenied for refused credentials."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._found: dict[int, Registered] = {}
        self.warnings: list[str] = []
        self.lists_deleted = True
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
        return self._registered(self._call(lambda: self._client.get_latest_version(subject), subject))

    def versions(self, subject: str, *, deleted: bool = False) -> list[Registered]:
        """All versions of `subject`, oldest first. Raises SchemaNotFound where there are none.

        With `deleted` also those that were deleted, but not for good: messages still name them by id. A registry that
        cannot or may not list these is asked for the others.
        """
        found = [self._version(subject, number, deleted=deleted) for number in self._numbers(subject, deleted=deleted)]
        return [each for each in found if each is not None]

    def by_id(self, schema_id: int) -> str:
        """The Avro schema's JSON; remembered, since an id never changes its meaning.

        Raises SchemaNotFound, and SchemaIncompatible for an id of a Protobuf or JSON schema.
        """
        found = self.found(schema_id)
        if found.kind != AVRO:
            raise SchemaIncompatible(
                f"schema id {schema_id} is a {found.kind} schema, not Avro", "have the producer write Avro"
            )
        return found.text

    def found(self, schema_id: int) -> Registered:
        """The schema of an id, whatever it is and under whichever subject; remembered. Raises SchemaNotFound.

        An id may be of several subjects, so it is told without subject and version: `places_of` has those.
        """
        if schema_id not in self._found:
            schema = self._call(lambda: self._client.get_schema(schema_id), f"schema id {schema_id}")
            self._found[schema_id] = Registered(schema_id, 0, self._text(schema), "", schema.schema_type or AVRO)
        return self._found[schema_id]

    def places_of(self, schema_id: int) -> list[tuple[str, int]]:
        """The subjects and versions that have the id, deleted ones included; empty where the registry does not say."""
        try:
            places = self._call(lambda: self._client.get_schema_versions(schema_id, deleted=True), "")  # type: ignore[attr-defined]
        except ServiceUnavailable:
            raise
        except AdstreamError:
            return []
        return [(str(each.subject), int(each.version)) for each in places]

    def register(self, contract: Contract) -> int:
        """Register `contract` as `put` does; return its id."""
        return self.put(contract).id

    def put(self, contract: Contract, *, documentation: bool = True) -> Registered:
        """Register `contract` as the next version of its subject, and return that version; safe to repeat.

        A version that says the same is returned, and nothing is registered: one that differs in white space or in the
        order of keys, and without `documentation` also one that differs in that.

        A subject that is new accepts only versions that can read what older ones wrote (BACKWARD), unless somebody has
        set a level for the subject or the registry: no level is ever changed. Where the registry does not let the level
        be set, `warnings` says so. Raises SchemaIncompatible for a schema that the registry refuses.
        """
        subject = contract.subject
        self._client.clear_caches()  # type: ignore[attr-defined]  # or it would not even ask, whatever was deleted since
        with suppress(SchemaNotFound):
            held = self.versions(subject)
            same = [each for each in held if each.text == contract.text]
            for docs in (True, documentation):
                same = same or [each for each in held if same_schema(each.text, contract.text, documentation=docs)]
            if same:
                return same[-1]
        if not self._numbers_of_all(subject):
            # Before the first version, or an end in between would leave the subject without a level.
            self._keep_compatible(subject)
        schema = Schema(contract.text, AVRO)
        schema_id = self._call(lambda: self._client.register_schema(subject, schema), subject)
        found = (each for each in reversed(self.versions(subject)) if each.id == schema_id)
        return next(found, None) or replace(self.latest(subject), id=schema_id)

    def _numbers(self, subject: str, *, deleted: bool) -> list[int]:
        if deleted:
            try:
                return self._call(lambda: self._client.get_versions(subject, deleted=True), subject)  # type: ignore[call-arg]
            except (ServiceUnavailable, SchemaNotFound):
                raise
            except AdstreamError:
                self.lists_deleted = False
        return self._call(lambda: self._client.get_versions(subject), subject)

    def _numbers_of_all(self, subject: str) -> list[int]:
        try:
            return self._numbers(subject, deleted=True)
        except SchemaNotFound:
            return []

    def _version(self, subject: str, number: int, *, deleted: bool) -> Registered | None:
        """None for a version that has been deleted for good since it was listed."""
        try:
            found = self._call(lambda: self._client.get_version(subject, number, deleted=deleted), subject)  # type: ignore[call-arg]
        except SchemaNotFound:
            return None
        return self._registered(found)

    def _keep_compatible(self, subject: str) -> None:
        """Set the level of a subject without versions, unless somebody has set one for it, or for all subjects.

        NONE for all subjects counts as unset: Apicurio answers so where nobody has set a level.
        """
        try:
            if self._level(subject) is None and self._level(None) in (None, _UNSET):
                self._call(lambda: self._client.set_compatibility(subject, COMPATIBILITY), subject)
        except ServiceUnavailable:
            raise
        except AdstreamError as refused:
            self.warnings.append(
                f"the compatibility level of {subject} is not set: {refused.problem}; have somebody with that right "
                f"set it to {COMPATIBILITY}"
            )

    def _level(self, subject: str | None) -> str | None:
        try:
            return self._call(lambda: self._client.get_compatibility(subject), subject or "its level").upper()
        except SchemaNotFound:
            return None

    def _registered(self, found: RegisteredSchema) -> Registered:
        schema = found.schema
        return Registered(found.schema_id, found.version, self._text(schema), found.subject, schema.schema_type or AVRO)

    def _text(self, schema: Schema) -> str:
        """The schema's JSON, with what it refers to written out: Avro's readers take one text."""
        if schema.references and (schema.schema_type or AVRO) == AVRO:
            texts: dict[tuple[str, int], str] = {}
            self._refer(schema.references, texts)
            return self_contained(schema.schema_str, texts.values())
        return schema.schema_str

    def _refer(self, references: list[SchemaReference], texts: dict[tuple[str, int], str]) -> None:
        for each in references:
            place = str(each.subject), int(each.version)
            if place in texts or len(texts) >= _MOST_REFERENCES:
                continue
            with suppress(SchemaNotFound):  # then the type stays unknown, and the schema cannot be read
                found = self._call(lambda p=place: self._client.get_version(*p, deleted=True), place[0])  # type: ignore[misc, call-arg]
                texts[place] = str(found.schema.schema_str)
                self._refer(found.schema.references or [], texts)

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
        if status == 404 and code in _NOT_FOUND:
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
