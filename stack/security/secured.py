"""The folder of a secured stack: its certificates, and a file of settings for each role.

Only these files hold passwords in the clear. Each start writes the services' configuration from them. A data folder
belongs to a secured stack if it has an admin's file.
"""

import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from common.errors import StackError
from common.settings import CassandraSettings, KafkaSettings, RegistrySettings
from stack.host.ports import HOST
from stack.host.properties import properties
from stack.security import certificates

ADMIN = "admin"
_KAFKA, _REGISTRY, _CASSANDRA = "ADSTREAM_KAFKA_SASL_", "ADSTREAM_REGISTRY_", "ADSTREAM_CASSANDRA_"

# The services that know each role, and the beginning of its file. The role's rights are in
# stack/security/kafka_rights.py, stack/registry.py and stack/security/cassandra_rights.py.
ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    ADMIN: ("makes topics, schemas, tables and users", (_KAFKA, _REGISTRY, _CASSANDRA)),
    "producer": ("sends events", (_KAFKA, _REGISTRY)),
    "job": ("reads events, writes tables and dead letters", (_KAFKA, _REGISTRY, _CASSANDRA)),
    "consumer": ("looks at topics", (_KAFKA, _REGISTRY)),
    "reader": ("looks at tables", (_CASSANDRA,)),
}
_PROTOCOL = {"ADSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "ADSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}
_CA_FILE = {
    _KAFKA: "ADSTREAM_KAFKA_SSL_CA_FILE",
    _REGISTRY: "ADSTREAM_REGISTRY_SSL_CA_FILE",
    _CASSANDRA: "ADSTREAM_CASSANDRA_SSL_CA_FILE",
}
_PASSWORD_BYTES = 24
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Secured:
    """The keys of a secured stack, as its services and its own health checks need them."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def server(self) -> Path:
        """The services' private key and certificate."""
        return self.folder / "server.pem"

    def env_file(self, role: str) -> Path:
        return self.folder / f"{role}.env"

    def kafka(self, port: int, **changes: str) -> KafkaSettings:
        """Return the admin's settings for the broker, whatever the environment says. Raises ConfigError."""
        own = self._options("ADSTREAM_KAFKA_")
        return KafkaSettings.of(**{**own, "bootstrap_servers": f"{HOST}:{port}", **changes})

    def registry(self, url: str) -> RegistrySettings:
        return RegistrySettings.of(**{**self._options("ADSTREAM_REGISTRY_"), "url": url})

    def cassandra(self, port: int, **changes: str) -> CassandraSettings:
        own = self._options("ADSTREAM_CASSANDRA_")
        return CassandraSettings.of(**{**own, "hosts": (HOST,), "port": port, **changes})

    def kafka_users(self) -> dict[str, str]:
        """Return passwords by user name, for the roles that the service knows."""
        return self._users(_KAFKA)

    def registry_users(self) -> dict[str, str]:
        return self._users(_REGISTRY)

    def cassandra_users(self) -> dict[str, str]:
        return self._users(_CASSANDRA)

    def _users(self, prefix: str) -> dict[str, str]:
        known = [each for role, each in self._values.items() if prefix in ROLES[role][1]]
        return {each[f"{prefix}USERNAME"]: each[f"{prefix}PASSWORD"] for each in known}

    def _options(self, prefix: str) -> dict[str, Any]:
        admin = self._values[ADMIN]
        return {name[len(prefix) :].lower(): value for name, value in admin.items() if name.startswith(prefix)}

    @cached_property
    def _values(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for role, (_does, services) in ROLES.items():
            path = self.env_file(role)
            with _readable(self.folder):
                values = {name: value or "" for name, value in dotenv_values(path).items()}
            for name in (f"{prefix}{part}" for prefix in services for part in ("USERNAME", "PASSWORD")):
                if not values.get(name):
                    remedy = "delete the file, and `adstream secure` makes another with new passwords"
                    raise StackError(f"{path} has no {name}", remedy)
            found[role] = values
        return found


def is_secured(data: Path) -> bool:
    """Return whether this data folder belongs to a secured stack, even if its keys are incomplete."""
    return Secured(data).env_file(ADMIN).exists()


def find(data: Path) -> Secured | None:
    """Return the keys of the stack in this data folder, or None if it is a plain one. Raises StackError."""
    if not is_secured(data):
        return None
    secured = Secured(data)
    with _readable(data):
        for path in (secured.authority, secured.server):
            path.read_bytes()
    _ = secured.kafka_users()
    return secured


def make(data: Path) -> list[Path]:
    """Make missing certificates and roles' files in this data folder, and return them. Raises StackError."""
    secured = Secured(data)
    made: list[Path] = []
    with _readable(data):
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        (data / ".gitignore").write_text("*\n", encoding="ascii")
        for role, (does, services) in ROLES.items():
            path = secured.env_file(role)
            if not path.exists():
                write_private(path, _settings_of(role, does, services, secured))
                made.append(path)
        if not (secured.authority.exists() and secured.server.exists()):
            pair = certificates.make()
            write_private(secured.server, pair.server)
            write_private(secured.authority, pair.authority)
            made += [secured.authority, secured.server]
    return made


def private_properties(path: Path, fixed: str, own: dict[str, object]) -> None:
    """Write a service's configuration, which holds passwords."""
    write_private(path, (fixed + properties(own)).encode("ascii"))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from the first byte on.

    Writes by renaming, so no reader ever sees half a file.
    """
    draft = path.with_name(f"{path.name}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
        file.write(content)
    draft.replace(path)


def _settings_of(role: str, does: str, services: tuple[str, ...], secured: Secured) -> bytes:
    lines = [
        f"# The {role} of this secured stack: {does}. Holds passwords; made by `adstream secure`.",
        f"# Use it by `adstream --env-file {shlex.quote(str(secured.env_file(role)))} ...`, or set ADSTREAM_ENV_FILE.",
        f"ADSTREAM_DATA_DIR={_quoted(str(secured.folder))}",
    ]
    for prefix in services:
        own = {
            **(_PROTOCOL if prefix == _KAFKA else {}),
            f"{prefix}USERNAME": role,
            f"{prefix}PASSWORD": secrets.token_urlsafe(_PASSWORD_BYTES),
            _CA_FILE[prefix]: _quoted(str(secured.authority)),
        }
        lines += [f"{name}={value}" for name, value in own.items()]
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        problem = f"the keys of the secured stack in {folder} cannot be used: {said}"
        raise StackError(problem, "`adstream secure` makes what is missing; correct the rest") from None
