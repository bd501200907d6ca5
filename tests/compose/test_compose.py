"""docker-compose.yml from the producer to cqlsh, with containers killed on the way."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from common.kafka import end_offsets
from common.settings import Settings
from tests.compose.compose import ROOT, System, images, require_engine

pytestmark = pytest.mark.timeout(2400)
OURS = ("producer", "streaming")
# A producer gives up after three timeouts. Beside other tests, a broker may need more than thirty seconds to start
# again.
PATIENT = {"ADSTREAM_KAFKA_TIMEOUT_SECONDS": "60"}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    require_engine()
    system = System(images())
    try:
        system.up()
        yield system
    finally:
        system.down()


def in_topic(system: System, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of messages on the topic, as a program outside of the containers sees it."""
    monkeypatch.setenv("ADSTREAM_KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{system.ports['kafka']}")
    return sum(end_offsets(Settings(), "ads_data").values())


def everything_is_counted(system: System, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Stop the producer, wait until verify finds every message of the topic counted, and start the producer again."""
    system.compose("stop", "producer")
    system.until(lambda: system.verified(*options) == in_topic(system, monkeypatch), "the whole topic is accounted for")
    system.compose("start", "producer")


def test_events_come_to_the_tables_and_agree_with_the_topic(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.until(lambda: "ad-00" in system.cql("SELECT * FROM ads.ad_metrics LIMIT 10"), "cqlsh shows rows")
    everything_is_counted(system, monkeypatch)


@pytest.mark.parametrize(
    "victim",
    [
        "kafka",
        pytest.param("cassandra", marks=pytest.mark.thorough),
        pytest.param("streaming", marks=pytest.mark.thorough),
    ],
)
def test_a_killed_container_comes_back_and_nothing_is_lost(
    system: System, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = f"/data/acknowledged-{victim}"
    produce = ("produce", "ads", "--rate", "200", "--count", "3000", "--start", "now", "--acknowledged", book)
    before = in_topic(system, monkeypatch)
    with subprocess.Popen(
        system.adstream_command(*produce, **PATIENT),
        cwd=ROOT,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as producing:
        system.until(lambda: in_topic(system, monkeypatch) > before + 1000, "events come")
        system.kill(victim)
        said, _ = producing.communicate(timeout=300)
    assert producing.returncode == 0, said
    everything_is_counted(system, monkeypatch, "--acknowledged", book)


def test_schema_ids_survive_a_killed_registry(system: System) -> None:
    def ids() -> str:
        return system.adstream("schema", "register").stdout

    before = ids()
    system.kill("registry")
    assert "ads_data-value version 2 has id" in before
    assert ids() == before


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_do_no_more_than_they_must(system: System, service: str) -> None:
    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return system.execute(service, "sh", "-c", script)

    status = dict(line.split(":\t", 1) for line in shell("cat /proc/self/status").stdout.splitlines() if ":\t" in line)
    assert set(status["Uid"].split()) == {"10001"}
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert "Read-only file system" in shell("touch /opt/x").stderr
    assert shell("touch /data/x /tmp/x && rm /data/x /tmp/x").returncode == 0
    assert shell("for tool in gcc cc make ld pip pip3; do command -v $tool; done").stdout == ""
    assert "No module named pip" in shell("python3 -m pip").stderr
    assert "No module named pip" in shell("$(readlink -f $(command -v python3)) -m pip").stderr


def test_ports_are_published_on_the_loopback_address_only(system: System) -> None:
    for service in ("kafka", "registry", "cassandra", *OURS):
        published = [at for ats in system.inspect(service)["NetworkSettings"]["Ports"].values() for at in ats or []]
        assert all(at["HostIp"] == "127.0.0.1" for at in published)
        assert bool(published) == (service != "producer")


def test_the_job_is_healthy_and_tells_this_machine_what_it_does(system: System) -> None:
    system.until(lambda: system.inspect("streaming")["State"]["Health"]["Status"] == "healthy", "the job is healthy")
    with urllib.request.urlopen(f"http://127.0.0.1:{system.ports['streaming']}/metrics", timeout=30) as answer:
        assert 'adstream_up{job="ad-metrics"} 1.0' in answer.read().decode()


@pytest.mark.thorough
def test_the_job_goes_on_with_its_checkpoint_on_a_cluster(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.settings["ADSTREAM_SPARK_MASTER"] = "spark://spark-master:7077"
    system.up("--profile", "cluster")
    page = f"http://127.0.0.1:{system.ports['spark-master']}/json/"

    def runs_on_the_cluster() -> bool:
        try:
            with urllib.request.urlopen(page, timeout=5) as answer:
                return [app["state"] for app in json.load(answer)["activeapps"]] == ["RUNNING"]
        except OSError:
            return False

    system.until(runs_on_the_cluster, "the job has an executor")
    everything_is_counted(system, monkeypatch)
