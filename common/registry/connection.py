"""A connection to the schema registry, with one timeout per call and one retry policy (common/retries.py).

The underlying client waits for ever unless it gets a timeout. By default it uses the environment's proxies.
"""

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import httpx2 as httpx
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from common import retries
from common.errors import (
    AccessDenied,
    AdstreamError,
    ConfigError,
    ServiceUnavailable,
)
from common.registry.errors import translated, unreached
from common.settings import RegistrySettings
from common.system.proxies import Proxy, proxy_for

T = TypeVar("T")
_NO_PROXY = "127.0.0.1"  # stands for "no proxy", so that the client does not look for one; never asked


class Connection:
    """A connection to the registry of the settings.

    `call` and `once` raise ServiceUnavailable when nothing answers in time, AccessDenied for refused credentials, and
    the client's own error for any other refusal.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self.url = settings.address

    @cached_property
    def proxy(self) -> Proxy | None:
        """The proxy between here and the registry. Raises ConfigError for one that cannot be used."""
        proxy = proxy_for(self._settings.url)
        if proxy is not None and not proxy.is_http:
            raise ConfigError(
                f"{proxy.variable} names a SOCKS proxy, and the schema registry is asked through HTTP proxies only",
                "add the registry's host to no_proxy, or name an HTTP proxy",
            )
        return proxy

    @cached_property
    def client(self) -> SchemaRegistryClient:
        """Return the registry's client.

        Raises ServiceUnavailable if the registry of the own stack does not run, and ConfigError.
        """
        settings = self._settings
        settings.require()
        config = {"url": settings.url, "timeout": settings.timeout_seconds, "max.retries": 0}
        if settings.username:
            config["basic.auth.user.info"] = f"{settings.username}:{settings.password.get_secret_value()}"
        if settings.ssl_ca_file:
            config["ssl.ca.location"] = str(settings.ssl_ca_file)
        try:
            return _asking_by(self.proxy, config)
        except OSError:
            named = ("ADSTREAM_REGISTRY_SSL_CA_FILE", settings.ssl_ca_file)
            usual = ((name, os.environ.get(name)) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
            option, file = next((each for each in (named, *usual) if each[1]), named)
            raise ConfigError(f"the CA file {file} cannot be read", f"check {option}") from None
        except ValueError:
            raise ConfigError(f"{self.url} is not a registry URL", "check ADSTREAM_REGISTRY_URL") from None

    def call(self, action: Callable[[SchemaRegistryClient], T], what: str) -> T:
        """Return the registry's answer; retry while the registry does not answer.

        `what` names the request, in words.
        """
        self._settings.require()
        return retries.call(lambda: self.once(action, what), on=ServiceUnavailable)

    def once(self, action: Callable[[SchemaRegistryClient], T], what: str) -> T:
        """Do the same as `call`, without retries."""
        try:
            return action(self.client)
        except SchemaRegistryError as error:
            raise self._by_proxy(translated(error, what, self._settings)) from None
        except httpx.TimeoutException:
            seconds = self._settings.timeout_seconds
            late = ServiceUnavailable(
                f"the schema registry at {self.url} did not answer within {seconds:g} s",
                "check that it is up, or raise ADSTREAM_REGISTRY_TIMEOUT_SECONDS",
            )
            raise self._by_proxy(late) from None
        except httpx.TransportError as error:
            raise self._by_proxy(unreached(error, self.url)) from None
        except (ValueError, KeyError, TypeError, AttributeError, httpx.HTTPError, httpx.InvalidURL):
            other = ConfigError(f"{self.url} answers, but not as a schema registry", "check ADSTREAM_REGISTRY_URL")
            raise self._by_proxy(other) from None

    def _by_proxy(self, error: AdstreamError) -> AdstreamError:
        """Name the proxy's variable in the error: the proxy may be the cause."""
        if self.proxy is None or not isinstance(error, (ServiceUnavailable, AccessDenied, ConfigError)):
            return error
        problem = f"{error.problem}, asked through the proxy of {self.proxy.variable}"
        return type(error)(problem, f"{error.remedy}; without a proxy: add its host to no_proxy")


def _asking_by(proxy: Proxy | None, config: dict[str, Any]) -> SchemaRegistryClient:
    """Return a client that connects through this proxy, or directly. Raises the errors of its constructor.

    The client by itself would use the environment's proxies, also for services on this machine.
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
