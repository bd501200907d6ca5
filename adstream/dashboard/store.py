"""The tables, read by key over one session that all viewers share."""

import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import PreparedStatement

from adstream.dashboard.statements import Statement
from common.cassandra.session import DRIVER_ERRORS, TRANSIENT, explain, open_session
from common.errors import AdstreamError
from common.settings import CassandraSettings, Settings

Row = dict[str, Any]
# The timeout of one read, which covers all partitions that a page asks for at once.
MOST_KEYS = 200
_CONCURRENT = 32
# A page waits at most this long for an answer. It asks a failed service again only after this time.
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 2.0


class Store:
    """Opens its session at the first request.

    After a lost session it opens another, because the settings may have changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._prepared: dict[Statement, PreparedStatement] = {}
        self._settings: CassandraSettings | None = None
        self._failed: tuple[float, AdstreamError] | None = None

    def rows(self, statement: Statement, keys: Sequence[tuple[object, ...]]) -> list[list[Row]]:
        """Return the rows of each partition, in the order of `keys`; only the first 200 keys are read.

        Raises ServiceUnavailable, AccessDenied, and ConfigError if the table is missing.
        """
        session, prepared, settings = self._ready(statement)
        values = [(*key, statement.most) for key in keys[:MOST_KEYS]]
        try:
            found = execute_concurrent_with_args(session, prepared, values, concurrency=_CONCURRENT)
            return [[row._asdict() for row in result] for _, result in found]
        except DRIVER_ERRORS as error:
            if isinstance(error, TRANSIENT):
                self._lost(session)
            raise explain(error, settings) from error

    def routing_keys(self, statement: Statement) -> list[int] | None:
        """Return the parameters by which Cassandra finds a partition; None for a statement that needs a search."""
        found: list[int] | None = self._ready(statement)[1].routing_key_indexes
        return found

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _ready(self, statement: Statement) -> tuple[Session, PreparedStatement, CassandraSettings]:
        with self._lock:
            if self._failed and monotonic() - self._failed[0] < PAUSE_SECONDS:
                raise self._failed[1]
            try:
                return self._opened(statement)
            except AdstreamError as error:
                self._failed = monotonic(), error
                raise

    def _opened(self, statement: Statement) -> tuple[Session, PreparedStatement, CassandraSettings]:
        if self._session is None or self._settings is None:
            asked = Settings().cassandra
            seconds = min(asked.timeout_seconds, TIMEOUT_SECONDS)
            self._settings = asked.model_copy(update={"timeout_seconds": seconds})
            self._session = open_session(self._settings, keyspace=self._settings.keyspace)
        if statement not in self._prepared:
            try:
                prepared = self._session.prepare(statement.text)
            except DRIVER_ERRORS as error:
                raise explain(error, self._settings) from error
            prepared.fetch_size = statement.most
            self._prepared[statement] = prepared
        return self._session, self._prepared[statement], self._settings

    def _lost(self, session: Session) -> None:
        with self._lock:
            if self._session is session:
                self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.cluster.shutdown()
        self._session, self._prepared = None, {}
