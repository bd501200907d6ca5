"""Proxies of the environment: requests to this machine bypass them. An error on the way names the proxy's variable."""

import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import AdstreamError, ConfigError, ServiceUnavailable, StackError
from common.registry import RegistryClient
from common.settings import RegistrySettings, StackSettings
from common.system.proxies import Proxy, is_loopback, proxy_for
from stack import ivy
from stack.host.java import network_options, proxy_login
from tests.e2e.commands import adstream, free_port, one_line

BROKEN = ["ftp://canary", "://", "http://", "http://u:canary@h:c", "http://[canary", "x y", " ", "http://h:99999"]
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Recording(http.server.BaseHTTPRequestHandler):
    """A proxy that refuses with `status`, and records each request with its credentials."""

    status = 502
    seen: list[tuple[str, str | None]]

    def _refuse(self) -> None:
        self.seen.append((f"{self.command} {self.path}", self.headers.get("Proxy-Authorization")))
        body = b"not a registry"
        self.send_response(407 if self.seen[-1][1] is None and self.status == 407 else self.status)
        if self.status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = do_HEAD = _refuse  # noqa: N815 - as the library calls them

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[type[Recording]]:
    class Handler(Recording):
        seen: list[tuple[str, str | None]] = []  # noqa: RUF012

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.port = server.server_port  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Handler
        server.shutdown()


def address(proxy: type[Recording]) -> str:
    return f"http://127.0.0.1:{proxy.port}"  # type: ignore[attr-defined]


def asked(url: str) -> AdstreamError:
    client = RegistryClient(RegistrySettings(url=url, timeout_seconds=2))
    with pytest.raises(AdstreamError) as refused:
        client.wait_ready(0)
    assert "\n" not in str(refused.value)
    return refused.value


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "[::1]", "here.localhost"])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_this_machine_is_asked_directly(
    host: str, variable: str, proxy: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address(proxy))
    assert proxy_for(f"http://{host}:{free_port()}/x") is None
    if host in ("127.0.0.1", "localhost"):
        assert isinstance(asked(f"http://{host}:{free_port()}/x"), ServiceUnavailable)
    assert proxy.seen == []


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1", *BROKEN])
def test_no_proxy_of_any_kind_keeps_this_machine_from_being_asked(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, value)
    for scheme in ("http", "https"):
        refused = asked(f"{scheme}://127.0.0.1:{free_port()}/x")
        assert isinstance(refused, ServiceUnavailable), refused
        assert "proxy" not in str(refused)


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_what_is_no_address_of_a_proxy_is_one_line_with_the_variable(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    refused = asked("http://registry.example/x")
    assert isinstance(refused, ConfigError)
    assert refused.problem == f"{variable} is not the address of a proxy"
    with pytest.raises(ConfigError, match=rf"^{variable} is not the address of a proxy; "):
        network_options(tmp_path)


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
def test_the_registry_is_not_asked_through_socks(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", f"{scheme}://u:canary@proxy.example:1080")
    refused = asked("https://registry.example/x")
    assert refused.problem.startswith("all_proxy names a SOCKS proxy, and the schema registry")
    assert "no_proxy" in refused.remedy
    assert "canary" not in str(refused)
    assert "-DsocksProxyHost=proxy.example" in network_options(tmp_path)


@pytest.mark.parametrize("status", [403, 407, 502, 503, 504])
@pytest.mark.parametrize(
    ("variable", "scheme"), [("http_proxy", "http"), ("HTTPS_PROXY", "https"), ("ALL_PROXY", "http")]
)
def test_what_a_proxy_refuses_names_its_variable(
    variable: str, scheme: str, status: int, proxy: type[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = status
    monkeypatch.setenv(variable, address(proxy).replace("//", "//someone:canary@"))
    refused = asked(f"{scheme}://registry.example/x")
    assert f"asked through the proxy of {variable}" in refused.problem
    assert "canary" not in str(refused)
    ((request, login),) = proxy.seen
    assert "registry.example" in request
    assert login == f"Basic {base64.b64encode(b'someone:canary').decode()}"


@pytest.mark.parametrize(("variable", "scheme"), [("http_proxy", "http"), ("https_proxy", "https")])
def test_a_dead_proxy_names_its_variable(variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"http://u:canary@127.0.0.1:{free_port()}")
    refused = asked(f"{scheme}://registry.example/x")
    assert refused.problem == (
        f"no schema registry answers at {scheme}://registry.example/x, asked through the proxy of {variable}"
    )
    assert "canary" not in str(refused)


@pytest.mark.parametrize(
    ("excepted", "url", "direct"),
    [
        ("*", "http://registry.example", True),
        ("registry.example", "http://registry.example:8081/x", True),
        ("example", "http://registry.example", True),
        (".example", "http://registry.example", True),
        ("*.example", "http://registry.example", True),
        (" other , REGISTRY.example ", "http://Registry.Example", True),
        ("registry.example:8081", "http://registry.example:8081", True),
        ("registry.example:8081", "http://registry.example:8082", False),
        ("registry.example:80", "http://registry.example", True),
        ("ample", "http://registry.example", False),
        ("10.0.0.0/8", "http://10.1.2.3:8081", True),
        ("10.0.0.0/8", "http://11.1.2.3:8081", False),
        ("10.1.2.3", "http://10.1.2.3:8081", True),
        ("fd00::/8", "http://[fd00::1]:8081", True),
        ("[fd00::1]", "http://[fd00::1]:8081", True),
        ("", "http://registry.example", False),
    ],
)
def test_exceptions(excepted: str, url: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert (proxy_for(url) is None) is direct


def test_the_lower_case_name_goes_first_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "upper.example:1")
    assert proxy_for("http://registry.example") == Proxy("HTTP_PROXY", "http", "upper.example", 1)
    monkeypatch.setenv("http_proxy", "lower.example")
    assert proxy_for("http://registry.example") == Proxy("http_proxy", "http", "lower.example", 8080)
    monkeypatch.setenv("http_proxy", "")
    assert proxy_for("http://registry.example") is None
    assert proxy_for("https://registry.example") is None
    monkeypatch.setenv("all_proxy", "http://u%40x:p%3Aq@all.example")
    found = proxy_for("https://registry.example")
    assert found is not None
    assert (found.user, found.password) == ("u@x", "p:q")
    assert "p:q" not in repr(found)


def test_loopback() -> None:
    assert not is_loopback("localhost.example")
    assert not is_loopback("128.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost.")


def test_downloads_by_java_log_in_to_the_proxy_and_name_its_variable(
    proxy: type[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = 407
    monkeypatch.setenv("HTTPS_PROXY", address(proxy).replace("//", "//some%20one:can%22ary@"))
    monkeypatch.setenv("no_proxy", "*.inside.example,10.0.0.0/8")
    with pytest.raises(StackError) as refused:
        ivy.retrieve(
            StackSettings(cache_dir=tmp_path), ivy.LISTED, into=tmp_path / "into", downloads=tmp_path / "downloads",
            expected=None, report=lambda _line: None, configurations=("local-files",),
        )  # fmt: skip
    assert "the proxy of HTTPS_PROXY" in refused.value.remedy
    assert "ary" not in str(refused.value)
    login = "Basic " + base64.b64encode(b'some one:can"ary').decode()
    assert {request.partition(" ")[0] for request, _ in proxy.seen} == {"CONNECT"}
    assert login in {given for _, given in proxy.seen}
    assert not any("ary" in option for option in network_options(tmp_path))
    assert '-Dhttp.proxyPassword=can"ary' in proxy_login()
    assert "-Dhttp.nonProxyHosts=localhost|127.*|*.inside.example|10.0.0.0/8|*.10.0.0.0/8" in network_options(tmp_path)


@pytest.mark.parametrize("value", ["http://u:canary@h:x", "socks5://127.0.0.1:1"])
def test_a_command_that_downloads_is_one_line(value: str, tmp_path: Path) -> None:
    own = {"ADSTREAM_DATA_DIR": str(tmp_path / "data"), "ADSTREAM_STACK_CACHE_DIR": str(tmp_path / "cache")}
    line = one_line(adstream("up", "--free-ports", **own, https_proxy=value))
    assert "https_proxy" in line
    assert "canary" not in line
