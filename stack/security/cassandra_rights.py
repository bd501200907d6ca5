"""The rights of each role of a secured stack in Cassandra.

A new cluster has one user, `cassandra`, whose password everybody knows. Our own admin replaces that user, who may not
log in any more.
"""

from cassandra.cluster import Session

from common.cassandra.session import DRIVER_ERRORS, connect, explain
from common.errors import AccessDenied, AdstreamError
from common.settings import CassandraSettings, Settings
from stack.security.secured import ADMIN, Secured

_DEFAULT = "cassandra"
_RIGHTS = {"job": ("SELECT", "MODIFY"), "reader": ("SELECT",)}


def grant(settings: Settings, port: int, secured: Secured) -> str | None:
    """Make roles and rights match the files and the settings. Returns the problems as text."""
    asked = secured.cassandra(port)
    try:
        try:
            with connect(asked) as session:
                _make_roles(session, settings.cassandra, secured)
        except AccessDenied:
            _replace_default(secured.cassandra(port, username=_DEFAULT, password=_DEFAULT), secured)
            return "its admin has just been made"
    except AdstreamError as problem:
        return str(problem)
    except DRIVER_ERRORS as error:
        return str(explain(error, asked))
    return None


def _replace_default(default: CassandraSettings, secured: Secured) -> None:
    with connect(default) as session:
        _login(session, ADMIN, secured.cassandra_users()[ADMIN], "SUPERUSER = true AND ")


def _make_roles(session: Session, settings: CassandraSettings, secured: Secured) -> None:
    session.execute(f"ALTER ROLE {_DEFAULT} WITH SUPERUSER = false AND LOGIN = false")
    # Cassandra grants rights only on an existing keyspace.
    session.execute(f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = {settings.replication}")
    for name, password in secured.cassandra_users().items():
        if name != ADMIN:
            _login(session, name, password)
        for right in _RIGHTS.get(name, ()):
            session.execute(f"GRANT {right} ON KEYSPACE {settings.keyspace} TO {name}")


def _login(session: Session, name: str, password: str, more: str = "") -> None:
    how = f"WITH {more}LOGIN = true AND PASSWORD = '{password.replace(chr(39), chr(39) * 2)}'"
    session.execute(f"CREATE ROLE IF NOT EXISTS {name} {how}")
    session.execute(f"ALTER ROLE {name} {how}")
