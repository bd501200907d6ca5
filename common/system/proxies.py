"""The proxies of the environment: `http_proxy`, `https_proxy`, `all_proxy`, and the exceptions in `no_proxy`.

The variables are read as curl and most libraries do. The lower-case name comes before the upper-case one, and an empty
value means no proxy. Connections to this machine never use a proxy.
"""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from common.errors import ConfigError

_HTTP = ("http", "https")
_DEFAULT_PORT = {"http": 80, "https": 443}
_PROXY_PORT = 8080


@dataclass(frozen=True)
class Proxy:
    """The proxy that `variable` names; `scheme` is http, https, socks5 and the like."""

    variable: str
    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_http(self) -> bool:
        return self.scheme in _HTTP


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for an http or https URL; None for a direct connection.

    Raises ConfigError if the variable names no proxy.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # the client reports an invalid URL
    if is_loopback(parts.hostname or "") or _is_excepted(parts):
        return None
    return proxy_of(parts.scheme)


def proxy_of(scheme: str) -> Proxy | None:
    """Return the proxy for addresses of this scheme, exceptions aside.

    Raises ConfigError if the variable names no proxy.
    """
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            value = os.environ.get(variable)
            if value == "":
                break
            if value is not None:
                return _parsed(variable, value)
    return None


def exceptions() -> list[str]:
    """Return the entries of `no_proxy`: hosts, domains, addresses and networks."""
    listed = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return [entry for entry in (each.strip().lower() for each in listed.split(",")) if entry]


def is_loopback(host: str) -> bool:
    """Return whether this machine uses that name or address for itself."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")


def _parsed(variable: str, value: str) -> Proxy:
    text = value.strip()
    with suppress(ValueError):
        parts = urlsplit(text if "://" in text else f"http://{text}")
        known = parts.scheme in _HTTP or parts.scheme.startswith("socks")
        if known and parts.hostname and " " not in parts.hostname:
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
            return Proxy(variable, parts.scheme, parts.hostname, parts.port or _PROXY_PORT, user, password)
    # The value may hold a password.
    raise ConfigError(
        f"{variable} is not the address of a proxy", "write it like http://proxy.example:3128, or unset it"
    )


def _is_excepted(parts: SplitResult) -> bool:
    host = (parts.hostname or "").lower()
    with suppress(ValueError):
        port = parts.port or _DEFAULT_PORT.get(parts.scheme)
        return any(_covers(entry, host, port) for entry in exceptions())
    return False


def _covers(entry: str, host: str, port: int | None) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        with suppress(ValueError):
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    return any(name in ("*", host) or host.endswith(f".{name}") for name in _names(entry, port))


def _names(entry: str, port: int | None) -> Iterator[str]:
    """Yield the domain of an entry like `.example.com`, `*.example.com` or `example.com:8080`, if its port fits."""
    name, colon, number = entry.partition(":")
    if not colon or (number.isdigit() and int(number) == port):
        yield "*" if name == "*" else name.removeprefix("*").removeprefix(".")
