"""Send rows that are alerts to the alert topic, in Avro, by the contract `alerts`.

An alert's id consists of its job, its subject, its event time and its status. So a replayed batch sends the same
message with the same id and key, and readers can count each once. Contract: the function returns when Kafka has
acknowledged every alert.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.types import StructType

from common import kafka
from common.avro import wire
from common.provision import ALERTS_CONTRACT, topic_of
from common.registry import RegistryClient
from common.settings import Settings
from streaming.sinks.dead_letters import producer_options
from streaming.sinks.sink import Destination, Sink, Stamp, Write


@dataclass(frozen=True)
class Alerts(Sink):
    """SQL expressions over the job's rows for the fields of an alert; `at` is a timestamp."""

    job: str
    subject: str
    status: str
    at: str

    @property
    def destinations(self) -> tuple[Destination, ...]:
        facts = (f"contract {ALERTS_CONTRACT}, key alert_id: job, subject, event time and status",)
        return (Destination("Kafka", ALERTS_CONTRACT, facts=facts),)

    def open(self, _spark: SparkSession, settings: Settings, _schema: StructType) -> Write:
        """Open the topic. Raises TopicNotFound, and SchemaNotFound if the contract is not registered."""
        topic = topic_of(settings, ALERTS_CONTRACT)
        kafka.require_topic(settings, topic)
        registered = RegistryClient(settings.registry).latest(f"{topic}-value")
        options = producer_options(settings.kafka, topic)

        def write(rows: DataFrame, _stamp: Stamp) -> int:
            alerts = self._alerts(rows)
            header = F.lit(wire.header(registered.id))
            value = F.concat(header, to_avro(F.struct("*"), registered.text))
            alerts.select(F.col("alert_id").alias("key"), value.alias("value")).write.format("kafka").options(
                **options
            ).save()
            return 0

        return write

    def _alerts(self, rows: DataFrame) -> DataFrame:
        subject, at, status = F.expr(self.subject), F.expr(self.at), F.expr(self.status)
        moment = F.date_format(at, "yyyy-MM-dd'T'HH:mm:ss.SSSX")
        return rows.select(
            F.concat_ws(":", F.lit(self.job), subject, moment, status).alias("alert_id"),
            F.lit(self.job).alias("job"),
            subject.alias("subject"),
            status.alias("status"),
            at.alias("at"),
        )
