"""Messages that open transactions hold back from the readers of the jobs' topics."""

from common.errors import ServiceUnavailable, TopicNotFound
from common.kafka.topic_ends import Ends, TopicEnds, open_since
from common.settings import Settings
from common.system.checkpoint_folders import topics
from stack import state
from stack.checks.finding import Finding

_REMEDY = "wait, if its producer is at work; else end it: docs/operations.md#transactions"


def open_transactions(settings: Settings) -> list[Finding]:
    """Return one finding for each topic of a checkpoint, and for the topic of ads."""
    wanted = {settings.topic.ads} | topics(settings)
    kafka_here = state.read(settings.data_dir.absolute()).services.get("kafka")
    named = "bootstrap_servers" in settings.kafka.model_fields_set
    if not (len(wanted) > 1 or named or (kafka_here and kafka_here.running.process())):
        return []  # a machine on which nothing has run yet
    findings = []
    for topic in sorted(wanted):
        try:
            findings.append(_looked_at(settings, topic))
        except ServiceUnavailable:
            return [Finding("OK", "open transactions", "not looked for, as Kafka does not run")]
        except TopicNotFound:
            continue
    return findings


def _looked_at(settings: Settings, topic: str) -> Finding:
    held = {partition: at for partition, at in TopicEnds(settings, topic)().items() if at.held_back}
    if not held:
        return Finding("OK", f"topic {topic}", "no open transaction holds anything back")
    details = [_held(settings, topic, partition, at) for partition, at in sorted(held.items())]
    return Finding("WARN", f"topic {topic}", "; ".join(details), _REMEDY)


def _held(settings: Settings, topic: str, partition: int, at: Ends) -> str:
    since = open_since(settings, topic, partition, at.stable)
    begun = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return (
        f"partition {partition}: an open transaction holds back {at.held_back:,} messages from offset"
        f" {at.stable:,} on{begun}"
    )
