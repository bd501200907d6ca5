"""One of two Quix Streams processes, run by the peers' own Python; it shares nothing with the rest of the project.

Prints `<seconds since 1970> <messages taken so far>` after every thousand messages, and after the last.
"""

import io
import json
import sys
import time

import fastavro
from quixstreams import Application
from quixstreams.dataframe.windows import Sum
from quixstreams.models.serializers import Deserializer

EVERY = 1_000
HEADER_BYTES = 5


class Decode(Deserializer):
    """Decodes with fastavro and the topic's one schema, and counts the messages. Times stay numbers."""

    def __init__(self, schema) -> None:  # noqa: ANN001
        super().__init__()
        for field in schema["fields"]:
            if isinstance(field["type"], dict):
                field["type"] = field["type"]["type"]
        self._schema = fastavro.parse_schema(schema)
        self.taken = 0
        self.last = 0.0

    def __call__(self, value, ctx):  # noqa: ANN001, ANN204, ARG002
        self.taken += 1
        self.last = time.time()
        if self.taken % EVERY == 0:
            self.tell()
        return fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), self._schema, None)

    def tell(self) -> None:
        print(f"{self.last:.3f} {self.taken}", flush=True)


def main(brokers: str, topic: str, group: str, state: str, idle_seconds: str, schema: str) -> None:
    decode = Decode(json.loads(schema))
    app = Application(
        broker_address=brokers,
        consumer_group=group,
        state_dir=state,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
    )
    ads = app.topic(
        topic,
        key_deserializer="str",
        value_deserializer=decode,
        timestamp_extractor=lambda value, _headers, _timestamp, _kind: value["timestamp"],
    )
    (
        app.dataframe(ads)
        .hopping_window(duration_ms=60_000, step_ms=30_000, grace_ms=660_000)
        .agg(clicks=Sum("clicks"), views=Sum("views"), cost=Sum("cost"))
        .final()
    )
    app.run(timeout=float(idle_seconds), collect=False)
    decode.tell()


if __name__ == "__main__":
    main(*sys.argv[1:])
