"""The keys of a secured stack: complete and kept. Unusable keys give an error of one line."""

from pathlib import Path

import pytest
from cryptography import x509

from common.errors import ConfigError, StackError
from stack.security import certificates, secured


def test_what_is_missing_is_made_and_what_is_there_is_kept(tmp_path: Path) -> None:
    data = tmp_path / "it's a folder"
    assert secured.find(data) is None
    assert len(secured.make(data)) == len(secured.ROLES) + 2
    before = secured.find(data)
    assert before is not None
    assert before.kafka_users().keys() == {"admin", "producer", "job", "consumer"}
    assert before.registry_users().keys() == {"admin", "producer", "job", "consumer"}
    assert before.cassandra_users().keys() == {"admin", "job", "reader"}
    assert before.kafka(1).ssl_ca_file == data / "ca.pem"

    assert secured.make(data) == []
    (data / "job.env").unlink()
    assert secured.make(data) == [data / "job.env"]
    after = secured.find(data)
    assert after is not None
    changed = {name for name, password in before.kafka_users().items() if after.kafka_users()[name] != password}
    assert changed == {"job"}


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with_secrets = [each for each in secured.make(data) if each.name != "ca.pem"]
    assert {each.stat().st_mode & 0o777 for each in with_secrets} == {0o600}
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("missing", ["ca.pem", "server.pem", "job.env"])
def test_keys_that_are_not_complete_do_not_make_a_plain_stack(tmp_path: Path, missing: str) -> None:
    secured.make(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(StackError, match="`adstream secure` makes"):
        secured.find(tmp_path)


def test_a_role_without_its_password_is_named(tmp_path: Path) -> None:
    secured.make(tmp_path)
    file = tmp_path / "reader.env"
    file.write_text("ADSTREAM_CASSANDRA_USERNAME=reader\nADSTREAM_CASSANDRA_PASSWORD=\n", encoding="utf-8")
    with pytest.raises(StackError, match=r"reader\.env has no ADSTREAM_CASSANDRA_PASSWORD; "):
        secured.find(tmp_path)


def test_the_admins_file_alone_says_how_the_services_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secured.make(tmp_path)
    for name, value in (
        ("KAFKA_TIMEOUT_SECONDS", "ten"), ("KAFKA_SASL_USERNAME", "mine"),
        ("REGISTRY_TIMEOUT_SECONDS", "ten"), ("CASSANDRA_CONSISTENCY", "local_quorum"),
    ):  # fmt: skip
        monkeypatch.setenv(f"ADSTREAM_{name}", value)
    keys = secured.Secured(tmp_path)
    assert (keys.kafka(1).sasl_username, keys.kafka(1).timeout_seconds) == ("admin", 10)
    assert (keys.registry("https://127.0.0.1:1").username, keys.cassandra(1).username) == ("admin", "admin")
    with (tmp_path / "admin.env").open("a", encoding="utf-8") as file:
        file.write("ADSTREAM_KAFKA_TIMEOUT_SECONDS=ten\n")
    with pytest.raises(ConfigError, match=r"^ADSTREAM_KAFKA_TIMEOUT_SECONDS cannot be used: "):
        secured.Secured(tmp_path).kafka(1)


def test_the_certificate_is_the_authoritys_and_of_this_machine() -> None:
    made, other = certificates.make(), certificates.make()
    authority = x509.load_pem_x509_certificate(made.authority)
    server = x509.load_pem_x509_certificate(made.server[made.server.index(b"-----BEGIN CERTIFICATE") :])
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert certificates.valid_until(made.server) == server.not_valid_after_utc
    assert other.authority != made.authority
