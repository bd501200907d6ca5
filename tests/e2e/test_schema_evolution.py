"""Schemas change under a running job: nobody restarts it, and nothing is lost, dead-lettered or held up for long."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from common import contracts
from common.contracts import Contract
from common.kafka import create_topics, topic_spec
from common.registry import RegistryClient
from producer.encoding import Encoder
from producer.timeline import to_millis
from tests.e2e.commands import changed_contract
from tests.e2e.pipeline import Pipeline
from tests.e2e.running_job import running_job

PAUSE_SECONDS = 10


@dataclass
class Producers:
    """A producer for each registered version. They send in rotation until the block ends."""

    pipeline: Pipeline
    encoders: list[Encoder] = field(default_factory=list)
    sent: int = 0

    def add(self, contract: Contract) -> None:
        registry = RegistryClient(self.pipeline.settings.registry)
        registry.register(contract)
        self.encoders = [*self.encoders, Encoder(registry.latest(contract.subject), contract)]

    @contextmanager
    def sending(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._send, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _send(self, ended: threading.Event) -> None:
        producer = Producer({"bootstrap.servers": self.pipeline.settings.kafka.bootstrap_servers})
        for number in itertools.count():
            if ended.wait(0.02):
                break
            encoder = self.encoders[number % len(self.encoders)]
            event = {
                "ad_id": f"ad-{number % 7}", "timestamp": to_millis(datetime.now(UTC)), "clicks": 1, "views": 3,
                "cost": 0.25, "event_id": f"{number}", "country": "CH",
            }  # fmt: skip
            producer.produce(self.pipeline.settings.topic.ads, encoder(event), event["ad_id"].encode())
            self.sent += 1
        assert producer.flush(30) == 0


@pytest.mark.thorough
def test_versions_two_and_three_come_while_a_job_that_began_with_version_one_runs(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"{pipeline.settings.topic.ads}-evolving"
    monkeypatch.setenv("ADSTREAM_TOPIC_ADS", topic)
    pipeline = replace(pipeline, settings=type(pipeline.settings)())
    create_topics(pipeline.settings, [topic_spec(pipeline.settings, topic)])
    first, second = (replace(each, subject=f"{topic}-value") for each in contracts.history("ads_data")[:2])
    third = changed_contract(topic, {"name": "country", "type": ["null", "string"], "default": None})
    producers = Producers(pipeline)
    producers.add(first)
    with running_job(pipeline) as job:
        with producers.sending():
            said = job.await_line("^batch 1 ")
            for contract in (second, third):
                producers.add(contract)
                said = job.await_line("new schema version", after=said)
                said = job.await_line("^batch ", after=said)
                said = job.await_line("^batch ", after=said)
        job.await_events(producers.sent)
        pauses = job.pauses("new schema version")
        code, _, errors = job.end()
    assert code == 0, errors
    assert pipeline.verified().fates == {"counted": producers.sent, "duplicate": 0, "late": 0, "dead": 0}
    assert pipeline.dead_letters() == []
    print("pauses:", pauses)
    assert len(pauses) == 2
    assert max(pauses) <= PAUSE_SECONDS
