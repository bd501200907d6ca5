"""Settings: the promises of .env.example, refused values, and secrets that stay secret."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from common.cassandra.session import credentials
from common.errors import ConfigError
from common.settings import Settings, option_names
from common.settings.settings import _SECTIONS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"


def options_in_example() -> dict[str, str]:
    return dict(re.findall(r"^# (ADSTREAM_[A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_example_lists_every_option_and_no_other() -> None:
    assert set(options_in_example()) == set(option_names())


def test_each_option_in_the_example_is_explained_by_the_line_above() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        if line.startswith("# ADSTREAM_"):
            assert re.match(r"# [^A].*\.$|# A[^D].*\.$", above), f"{line} has no explanation above it"


def test_the_values_in_the_example_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    defaults = _dump(Settings())
    # The default for executors is the version of the Python that runs here.
    example = options_in_example() | {"ADSTREAM_SPARK_EXECUTOR_PYTHON": f"python3.{sys.version_info.minor}"}
    (tmp_path / ".env").write_text("".join(f"{n}={v}\n" for n, v in example.items()), encoding="utf-8")
    assert _dump(Settings()) == defaults


def test_a_running_stacks_addresses_stand_in_for_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"kafka": {"bootstrap_servers": "127.0.0.1:1234"}, "cassandra": {"hosts": ["127.0.0.1"], "port": 4321}}
    (tmp_path / "stack.json").write_text(json.dumps({"addresses": addresses}), encoding="utf-8")
    monkeypatch.setenv("ADSTREAM_DATA_DIR", str(tmp_path))
    assert Settings().kafka.bootstrap_servers == "127.0.0.1:1234"
    assert Settings().cassandra.port == 4321
    monkeypatch.setenv("ADSTREAM_CASSANDRA_PORT", "9999")
    assert Settings().cassandra.port == 9999


def test_a_named_file_goes_before_the_usual_one_and_after_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("ADSTREAM_KAFKA_SASL_USERNAME=usual\nADSTREAM_TOPIC_ADS=mine\n", encoding="utf-8")
    (tmp_path / "job.env").write_text(
        "ADSTREAM_KAFKA_SASL_USERNAME=job\nADSTREAM_DATA_DIR='/a b'\nADSTREAM_CASSANDRA_PORT=1\n", encoding="utf-8"
    )
    monkeypatch.setenv("ADSTREAM_ENV_FILE", "job.env")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_PORT", "2")
    monkeypatch.delenv("ADSTREAM_DATA_DIR", raising=False)
    settings = Settings()
    assert (settings.kafka.sasl_username, settings.topic.ads, settings.cassandra.port) == ("job", "mine", 2)
    assert settings.data_dir == Path("/a b")


def test_a_named_file_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_ENV_FILE", "nowhere.env")
    with pytest.raises(ConfigError, match=r"nowhere\.env cannot be read; correct --env-file"):
        Settings()


@pytest.mark.parametrize("name", [".env", "job.env"])
@pytest.mark.parametrize("content", ["ADSTREAM_KAFKA_SASL_PASSWORD=grün".encode("latin-1"), "A=b".encode("utf-16")])
def test_a_file_in_another_encoding_is_one_line_without_its_content(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    if name != ".env":
        monkeypatch.setenv("ADSTREAM_ENV_FILE", name)
    with pytest.raises(ConfigError) as refused:
        Settings()
    assert str(refused.value) == f"the file of settings {name} is not UTF-8; save it as UTF-8"


UNSEARCHABLE = """
import os, sys
from common.settings import Settings, env_files
Settings().topic  # imports everything, while this user may read it
os.chdir(sys.argv[1])
os.chmod(".", 0)
if os.getuid() == 0:
    os.setuid(65534)
print(os.access(".", os.X_OK), env_files(), Settings().topic.ads)
"""


def test_a_working_folder_that_may_not_be_searched_has_no_file_of_settings(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / ".env").write_text("ADSTREAM_TOPIC_ADS=mine\n", encoding="utf-8")
    command = [sys.executable, "-c", UNSEARCHABLE, closed]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    finally:
        closed.chmod(0o700)
    assert (done.stdout, done.stderr) == ("False [] ads_data\n", "")


def test_a_pipe_is_no_file_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.env")
    monkeypatch.setenv("ADSTREAM_ENV_FILE", str(tmp_path / "pipe.env"))
    with pytest.raises(ConfigError, match=r"pipe\.env cannot be read; correct --env-file"):
        Settings()


def test_an_authority_for_cassandra_is_asking_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().cassandra.tls
    monkeypatch.setenv("ADSTREAM_CASSANDRA_SSL_CA_FILE", "/nowhere/ca.pem")
    assert Settings().cassandra.tls
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem cannot be used; check ADSTREAM_CASSANDRA_SSL_CA_FILE"):
        credentials(Settings().cassandra)


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_HOSTS", "10.0.0.1, 10.0.0.2")
    assert Settings().cassandra.hosts == ("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADSTREAM_CASSANDRA_PORT", "many", "ADSTREAM_CASSANDRA_PORT cannot be used"),
        ("ADSTREAM_CASSANDRA_KEYSPACE", "x; DROP", "ADSTREAM_CASSANDRA_KEYSPACE cannot be used"),
        ("ADSTREAM_KAFKA_SECURITY_PROTOCOL", "TLS", "ADSTREAM_KAFKA_SECURITY_PROTOCOL cannot be used"),
        ("ADSTREAM_KAFKA_BOOTSTRAP_SERVER", "x", "did you mean ADSTREAM_KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said) as refused:
        Settings().cassandra, Settings().kafka
    assert "\n" not in str(refused.value)


def test_secrets_print_as_redacted_and_never_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_SASL_PASSWORD", "REGISTRY_PASSWORD", "CASSANDRA_PASSWORD"):
        monkeypatch.setenv(f"ADSTREAM_{name}", "hunter2-canary")
    settings = Settings()
    assert "canary" not in repr((settings.kafka, settings.registry, settings.cassandra))
    assert settings.kafka.sasl_password.get_secret_value() == "hunter2-canary"


def _dump(settings: Settings) -> list[object]:
    return [settings.data_dir, *(getattr(settings, section).model_dump() for section in _SECTIONS)]
