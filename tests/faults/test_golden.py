"""The job continues a checkpoint that an earlier release made, and its totals."""

import io
import json
import secrets
import tarfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession

from common import contracts
from common.avro import wire
from common.kafka import topic_id
from common.provision import prepare
from common.settings import Settings
from tests.e2e.pipeline import Pipeline, make_ad_tables
from tests.faults.golden.kept import TOPIC, totals

HERE = Path(__file__).parent / "golden"


@pytest.fixture
def golden(stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with an empty topic, which has the name in the checkpoints."""
    monkeypatch.setenv("ADSTREAM_TOPIC_ADS", TOPIC)
    monkeypatch.setenv("ADSTREAM_TOPIC_DEAD_LETTERS", f"golden-dead-{secrets.token_hex(4)}")
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"golden_{secrets.token_hex(4)}")
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    if TOPIC in admin.list_topics(timeout=30).topics:
        admin.delete_topics([TOPIC])[TOPIC].result(timeout=30)
    settings = Settings()
    prepare(settings)
    make_ad_tables(settings)
    return Pipeline(settings, tmp_path / "checkpoint")


@pytest.mark.thorough
@pytest.mark.parametrize("release", sorted(HERE.glob("*.tar.gz")), ids=lambda file: file.name)
def test_a_checkpoint_of_an_earlier_release_goes_on(spark: SparkSession, golden: Pipeline, release: Path) -> None:
    folder = golden.checkpoint.parent
    with tarfile.open(release) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
        archive.extractall(folder)
    kept = json.loads((folder / "messages.json").read_text())
    send(golden.settings, kept)
    belongs_to(golden.checkpoint, topic_id(golden.settings, TOPIC))
    golden.produce("--count", "300", "--over", "1m", "--ads", "5", "--late", "0")
    new = [message for message in golden.messages() if (message.offset() or 0) >= len(kept[str(message.partition())])]
    assert len(new) == 300
    golden.run(spark)
    assert totals(golden.settings) == sums(json.loads((folder / "totals.json").read_text()), new)


def send(settings: Settings, kept: dict[str, list[str]]) -> None:
    """Send the saved messages, so that they get the same offsets as before."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for partition, values in kept.items():
        for value in values:
            producer.produce(TOPIC, bytes.fromhex(value), partition=int(partition))
    assert producer.flush(60) == 0


def belongs_to(checkpoint: Path, topic: str) -> None:
    """Write the id of the new topic into the checkpoint.

    A repository cannot hold a topic, so the new topic stands in for the one that the checkpoint knows.
    """
    file = checkpoint / "adstream.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "topic_id": topic}))
    (checkpoint / ".adstream.json.crc").unlink()


def sums(before: dict[str, list[str]], messages: list[Message]) -> dict[str, list[str]]:
    """Return the totals of the ads in the new messages: the saved totals, plus each new event once."""
    schema = fastavro.parse_schema(contracts.latest("ads_data").schema)
    clicks: dict[str, int] = defaultdict(int)
    views: dict[str, int] = defaultdict(int)
    cost: dict[str, Decimal] = defaultdict(Decimal)
    for ad, (then_clicks, then_views, then_cost) in before.items():
        clicks[ad], views[ad], cost[ad] = int(then_clicks), int(then_views), Decimal(then_cost)
    seen = set()
    for message in messages:
        event = fastavro.schemaless_reader(io.BytesIO((message.value() or b"")[wire.HEADER_BYTES :]), schema, None)
        ad = event["ad_id"]
        seen.add(ad)
        clicks[ad] += event["clicks"]
        views[ad] += event["views"]
        cost[ad] += Decimal(repr(event["cost"])).quantize(Decimal("0.000001"))
    return {ad: [str(clicks[ad]), str(views[ad]), str(cost[ad])] for ad in seen}
