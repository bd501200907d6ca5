"""Two hundred schemas that BACKWARD accepts, fifty messages each, in one plan: the job agrees with the oracle.

tests/property/test_writer_schemas.py compares the other readers with the oracle.
"""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from adstream.verify.judge import Judge
from common.contracts import Contract
from streaming import jobs
from streaming.micro_batch.pipeline import Pipeline
from tests.patterns.test_bad_input import fate_of, fates, messages, same
from tests.property.payloads import Payload
from tests.property.writer_schemas import MESSAGES, SCHEMAS, V2, writer_schemas


def test_every_message_of_every_schema_has_the_fate_that_the_oracle_gives_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    drawn = writer_schemas(seed)
    job = jobs.find("ad-metrics")
    writers = {each.schema_id: Contract(V2.subject, each.schema_id, each.text) for each in drawn}
    judge = Judge({each.schema_id: each.schema for each in drawn}, job.lateness or timedelta(0))
    payloads = [
        Payload(f"{each.changes} {each.text}", None, value, arrival)
        for each in drawn
        for value, arrival in each.messages(seed)
    ]
    judged = [judge.judge(0, offset, each.arrival, each.value) for offset, each in enumerate(payloads)]
    rows = messages(spark, payloads, tmp_path / "messages.parquet")
    same(payloads, fates(Pipeline(job, writers, json=False).judged(rows)), [fate_of(each) for each in judged])
    seen = Counter(each.outcome for each in judged)
    print(dict(seen))
    assert seen.total() == SCHEMAS * MESSAGES
    assert min(seen[fate] for fate in ("counted", "late", "dead")) > MESSAGES
