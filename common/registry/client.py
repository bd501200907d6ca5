"""The client of the schema registry: registered schemas, their ids, and the check of a new version.

Without its setting here the client would answer "latest" from its cache. Its stubs are older than the client: hence
each `type: ignore`.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaReference

from common.contracts import Contract
from common.errors import (
    AdstreamError,
    SchemaIncompatible,
    SchemaNotFound,
    ServiceUnavailable,
)
from common.registry.connection import Connection
from common.registry.schema_text import same_schema, self_contained
from common.settings import RegistrySettings

READY_POLL_SECONDS = 0.2
COMPATIBILITY = "BACKWARD"
AVRO = "AVRO"
_MOST_REFERENCES = 100
_UNSET = "NONE"


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
        self._connection = Connection(settings)
        self._ask = self._connection.call
        self._found: dict[int, Registered] = {}
        self.warnings: list[str] = []
        self.lists_deleted = True
        self.url = settings.address

    def latest(self, subject: str) -> Registered:
        """Return the newest version of `subject`, without a cache. Raises SchemaNotFound."""
        self._connection.client.clear_latest_caches()  # type: ignore[attr-defined]
        return self._registered(self._ask(lambda client: client.get_latest_version(subject), subject))

    def versions(self, subject: str, *, deleted: bool = False) -> list[Registered]:
        """Return all versions of `subject`, oldest first. Raises SchemaNotFound if there are none.

        With `deleted` this includes soft-deleted versions, which messages still refer to by id. If the registry cannot
        or may not list these, the result has only the others.
        """
        found = [self._version(subject, number, deleted=deleted) for number in self._numbers(subject, deleted=deleted)]
        return [each for each in found if each is not None]

    def by_id(self, schema_id: int) -> str:
        """Return the Avro schema's JSON, cached: an id never changes its meaning.

        Raises SchemaNotFound, and SchemaIncompatible for an id of a Protobuf or JSON schema.
        """
        found = self.found(schema_id)
        if found.kind != AVRO:
            raise SchemaIncompatible(
                f"schema id {schema_id} is a {found.kind} schema, not Avro", "have the producer write Avro"
            )
        return found.text

    def found(self, schema_id: int) -> Registered:
        """Return the schema of an id, of any kind and under any subject, and cache it. Raises SchemaNotFound.

        An id may belong to several subjects, so the schema has no subject and version: `places_of` has these.
        """
        if schema_id not in self._found:
            schema = self._ask(lambda client: client.get_schema(schema_id), f"schema id {schema_id}")
            self._found[schema_id] = Registered(schema_id, 0, self._text(schema), "", schema.schema_type or AVRO)
        return self._found[schema_id]

    def places_of(self, schema_id: int) -> list[tuple[str, int]]:
        """Return the subjects and versions that have the id, with deleted ones. Empty if the registry does not say."""
        try:
            places = self._ask(lambda client: client.get_schema_versions(schema_id, deleted=True), "")  # type: ignore[attr-defined]
        except ServiceUnavailable:
            raise
        except AdstreamError:
            return []
        return [(str(each.subject), int(each.version)) for each in places]

    def register(self, contract: Contract) -> int:
        """Register `contract` as `put` does, and return its id."""
        return self.put(contract).id

    def put(self, contract: Contract, *, documentation: bool = True) -> Registered:
        """Register `contract` as the next version of its subject, and return that version. Safe to repeat.

        If a version with the same schema exists, return that version and register nothing. White space and the order of
        keys do not matter; without `documentation`, documentation does not matter either. A new subject gets the level
        BACKWARD: new versions can read older messages. But no existing level changes, be it the subject's or the
        registry's. If the registry refuses to set the level, `warnings` says so. Raises SchemaIncompatible for a schema
        that the registry refuses.
        """
        subject = contract.subject
        self._connection.client.clear_caches()  # type: ignore[attr-defined]  # or it would not even ask, whatever was deleted since
        with suppress(SchemaNotFound):
            held = self.versions(subject)
            same = [each for each in held if each.text == contract.text]
            for docs in (True, documentation):
                same = same or [each for each in held if same_schema(each.text, contract.text, documentation=docs)]
            if same:
                return same[-1]
        if not self._numbers_of_all(subject):
            # Before the first version: otherwise a crash in between would leave the subject without a level.
            self._keep_compatible(subject)
        schema = Schema(contract.text, AVRO)
        schema_id = self._ask(lambda client: client.register_schema(subject, schema), subject)
        found = (each for each in reversed(self.versions(subject)) if each.id == schema_id)
        return next(found, None) or replace(self.latest(subject), id=schema_id)

    def _numbers(self, subject: str, *, deleted: bool) -> list[int]:
        if deleted:
            try:
                return self._ask(lambda client: client.get_versions(subject, deleted=True), subject)  # type: ignore[call-arg]
            except (ServiceUnavailable, SchemaNotFound):
                raise
            except AdstreamError:
                self.lists_deleted = False
        return self._ask(lambda client: client.get_versions(subject), subject)

    def _numbers_of_all(self, subject: str) -> list[int]:
        try:
            return self._numbers(subject, deleted=True)
        except SchemaNotFound:
            return []

    def _version(self, subject: str, number: int, *, deleted: bool) -> Registered | None:
        """Return a version, or None if it has been deleted for good since it was listed."""
        try:
            found = self._ask(lambda client: client.get_version(subject, number, deleted=deleted), subject)  # type: ignore[call-arg]
        except SchemaNotFound:
            return None
        return self._registered(found)

    def _keep_compatible(self, subject: str) -> None:
        """Set the level of a subject without versions, unless somebody has set one for it, or for all subjects.

        NONE for all subjects counts as unset: Apicurio answers NONE if nobody has set a level.
        """
        try:
            if self._level(subject) is None and self._level(None) in (None, _UNSET):
                self._ask(lambda client: client.set_compatibility(subject, COMPATIBILITY), subject)
        except ServiceUnavailable:
            raise
        except AdstreamError as refused:
            self.warnings.append(
                f"the compatibility level of {subject} is not set: {refused.problem}; have somebody with that right "
                f"set it to {COMPATIBILITY}"
            )

    def _level(self, subject: str | None) -> str | None:
        try:
            return self._ask(lambda client: client.get_compatibility(subject), subject or "its level").upper()
        except SchemaNotFound:
            return None

    def _registered(self, found: RegisteredSchema) -> Registered:
        schema = found.schema
        return Registered(found.schema_id, found.version, self._text(schema), found.subject, schema.schema_type or AVRO)

    def _text(self, schema: Schema) -> str:
        """Return the schema's JSON with its references written out: Avro's readers take one text."""
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
                found = self._ask(lambda client, p=place: client.get_version(*p, deleted=True), place[0])  # type: ignore[misc]
                texts[place] = str(found.schema.schema_str)
                self._refer(found.schema.references or [], texts)

    def compatible(self, contract: Contract) -> list[str]:
        """Return the reasons why `contract` cannot be registered, one sentence each; empty if it can be, or is the
        first."""
        schema = Schema(contract.text, "AVRO")
        try:
            newest = self.latest(contract.subject)
            fits = self._ask(lambda client: client.test_compatibility(contract.subject, schema), contract.subject)
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
                self._connection.once(lambda client: client.get_subjects(), "")
            except ServiceUnavailable:
                if time.monotonic() >= end:
                    raise
                time.sleep(READY_POLL_SECONDS)
            else:
                return
