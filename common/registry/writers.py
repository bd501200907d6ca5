"""The writer schemas of a topic's messages: the versions of its subject, and other schemas by their ids.

Some messages have an id that is no version of `<topic>-value`. Their producers name subjects after records
(RecordNameStrategy, TopicRecordNameStrategy), or share a schema between topics. This module asks the registry for such
an id when a message has it. Any producer can write any number there. So the number of questions is limited, and answers
are cached.
"""

import time
from collections.abc import Callable, Collection
from datetime import timedelta

from common.contracts import Contract
from common.errors import AdstreamError, BadInput, SchemaNotFound, ServiceUnavailable
from common.registry import Registered, RegistryClient
from common.settings import RegistrySettings

# Each is a branch of a job's plan.
MOST_OTHERS = 50
# The ids of one batch that a job asks for, the most frequent first.
MOST_ASKED = 100
# The unknown ids for which a command other than a job asks the registry, one by one.
MOST_UNKNOWN = 10_000
REMEMBERED = timedelta(minutes=1)
# Larger ones are in no registry: ids are Java integers.
_IDS = 2**31
# A longer schema of another subject is not read. The contracts have about a thousand characters.
_LONGEST_TEXT = 200_000


class Writers:
    """The writers of one topic's messages in `registry`; caches the registry's answers.

    Each method raises ServiceUnavailable and AccessDenied.
    """

    def __init__(
        self,
        registry: RegistryClient,
        topic: str,
        *,
        others: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember the registry and the topic.

        Without `others`, the ids of other subjects count as unknown to the registry.
        """
        self.subject = f"{topic}-value"
        self.registry = registry
        self._others_count = others
        self._clock = clock
        self._versions: dict[int, Registered] | None = None
        self._others: dict[int, Registered] = {}
        self._unknown: dict[int, float] = {}

    @classmethod
    def of(cls, settings: RegistrySettings, topic: str) -> "Writers":
        return cls(RegistryClient(settings), topic, others=settings.other_subjects)

    def known(self) -> dict[int, Registered]:
        """Return the subject's present versions, with deleted ones, and the schemas of other subjects met so far.

        Raises SchemaNotFound if the subject has none.
        """
        self._versions = {found.id: found for found in self.registry.versions(self.subject, deleted=True)}
        return {**self._others, **self._versions}

    def contracts(self) -> dict[int, Contract]:
        """Return the `known` schemas as contracts."""
        return {key: Contract(each.subject, each.version, each.text) for key, each in self.known().items()}

    def registered(self, ids: Collection[int], planned: Collection[int]) -> set[int]:
        """Return the schemas that a job's plan needs for messages with these `ids`, without the `planned` ones.

        `ids` are at most MOST_ASKED of a batch, the most frequent first. At that number the batch may have further ids,
        so each new version of the subject is returned too.
        """
        known = self.known()
        found = {each for each in ids if each in known}
        if len(ids) >= MOST_ASKED:
            found |= known.keys()
        for each in list(ids)[:MOST_ASKED]:
            if len(self._others) >= MOST_OTHERS:
                break
            if each not in known and self._ask(each) is not None:
                found.add(each)
        return found - set(planned)

    def find(self, schema_id: int) -> Registered | None:
        """Return the schema of an id; None if the registry does not know the id, or if the id does not count.

        Raises BadInput after MOST_UNKNOWN different ids that the registry does not know.
        """
        if self._versions is None:
            try:
                self.known()
            except SchemaNotFound:
                self._versions = {}
        if self._versions and schema_id in self._versions:
            return self._versions[schema_id]
        if len(self._unknown) >= MOST_UNKNOWN and schema_id not in self._unknown and schema_id < _IDS:
            raise BadInput(
                f"the messages have more than {MOST_UNKNOWN:,} schema ids that the registry at {self.registry.url} "
                "does not know",
                "look for what else writes to the topic; ADSTREAM_REGISTRY_OTHER_SUBJECTS=false asks for no ids",
            )
        return self._ask(schema_id)

    def found_or_none(self, schema_id: int) -> Registered | None:
        """Do the same as `find`, but return None after MOST_UNKNOWN ids that the registry does not know."""
        try:
            return self.find(schema_id)
        except BadInput:
            return None

    def _ask(self, schema_id: int) -> Registered | None:
        if schema_id in self._others:
            return self._others[schema_id]
        if schema_id >= _IDS or self._is_unknown(schema_id) or not self._may_count():
            return None
        try:
            found = self._counting(self.registry.found(schema_id))
        except ServiceUnavailable:
            raise
        except AdstreamError:  # not known, or not for this user
            found = None
        if found is None:
            self._remember(schema_id)
        else:
            self._others[schema_id] = found
        return found

    def _counting(self, found: Registered) -> Registered | None:
        places = self.registry.places_of(found.id)
        own = [place for place in places if place[0] == self.subject]
        if len(found.text) > _LONGEST_TEXT or not (own or self._others_count):
            return None
        subject, version = (own or places or [(f"schema id {found.id}", 0)])[-1]
        return Registered(found.id, version, found.text, subject, found.kind)

    def _may_count(self) -> bool:
        """Return whether an id that is no version of the subject can count: as another subject's, or as one deleted
        here."""
        return self._others_count or not self.registry.lists_deleted

    def _is_unknown(self, schema_id: int) -> bool:
        asked = self._unknown.get(schema_id)
        return asked is not None and self._clock() - asked < REMEMBERED.total_seconds()

    def _remember(self, schema_id: int) -> None:
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[schema_id] = self._clock()
