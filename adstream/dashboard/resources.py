"""Resources that all viewers share: the session to Cassandra, and recent reads from Kafka."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

import streamlit as st

from adstream.dashboard.store import Store
from adstream.dashboard.tails import active_keys, newest_letters
from adstream.dead_letters.letters import Letter
from adstream.dead_letters.replay import Checker
from common.errors import AdstreamError
from common.settings import Settings

T = TypeVar("T")
KEPT_SECONDS = 5.0
KAFKA_SECONDS = 5.0
# Keys that were active since the dashboard began. So no key vanishes from the list with its last event.
_REMEMBERED = 200


class Kept(Generic[T]):
    """Caches the result, or the error, of `read` for some seconds. One viewer reads while the others wait."""

    def __init__(self, read: Callable[[], T], seconds: float = KEPT_SECONDS) -> None:
        self._read, self._seconds = read, seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._outcome: tuple[T | None, AdstreamError | None] = None, None

    def __call__(self) -> T:
        with self._lock:
            if monotonic() >= self._until:
                try:
                    self._outcome = self._read(), None
                except AdstreamError as failed:
                    self._outcome = None, failed
                self._until = monotonic() + self._seconds
            value, error = self._outcome
            if error is not None:
                raise error
            return value  # type: ignore[return-value]  # of T, without an error


class Keys:
    """Keys seen in a topic, the most active first."""

    def __init__(self, topic: Callable[[Settings], str]) -> None:
        self.topic = topic
        self._seen: dict[str, None] = {}
        self._active = Kept(lambda: active_keys(hurried(), topic(Settings())))

    def __call__(self) -> list[str]:
        """Return the current keys, followed by earlier ones. Raises ServiceUnavailable, TopicNotFound, AccessDenied."""
        self._seen = dict.fromkeys([*self._active(), *self._seen][:_REMEMBERED])
        return self.seen

    @property
    def seen(self) -> list[str]:
        return list(self._seen)


def hurried() -> Settings:
    """Return the present settings, with a short wait for Kafka."""
    settings = Settings()
    settings.kafka = settings.kafka.model_copy(
        update={"timeout_seconds": min(settings.kafka.timeout_seconds, KAFKA_SECONDS)}
    )
    return settings


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """Return the tables."""
    return Store()


@st.cache_resource(show_spinner=False)
def keys(topic: str) -> Keys:
    """Return the active keys of a topic. The topic `ads` means the ads topic of the settings, under any name."""
    return Keys(lambda settings: settings.topic.ads if topic == "ads" else topic)


@st.cache_resource(show_spinner=False)
def letters() -> Kept[list[Letter]]:
    """Return the newest dead letters."""
    return Kept(lambda: newest_letters(hurried()))


@st.cache_resource(show_spinner=False, ttl=60)
def checker() -> Checker:
    """Return a checker of messages by the topics' readers, with the schemas of the registry."""
    return Checker(Settings())
