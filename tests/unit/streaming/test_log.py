"""Each record of Spark's own log is one line, whatever a message or an exception quotes."""

import re
import secrets
from pathlib import Path

from pyspark.sql import SparkSession

RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:WARN|ERROR) ")


def test_a_record_is_one_line_of_signs_that_can_be_seen(spark: SparkSession) -> None:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    mark = secrets.token_hex(8)
    forged = "\n2026-01-01T00:00:00.000Z ERROR forged:"
    hostile = f'{mark} "[/x]" C:\\new {forged}\r\t\x1b[31m\x00\x9b2J\x7f\u202e\u2028\u200b 广告'
    logger = jvm.org.apache.logging.log4j.LogManager.getLogger("hostile")
    logger.error(hostile)
    logger.error(hostile, jvm.java.lang.IllegalStateException(f"because {hostile}"))
    log = Path(jvm.java.lang.System.getProperty("adstream.log"))
    first, second = (line for line in log.read_text(encoding="utf-8").split("\n") if mark in line)
    wanted = rf'{mark} "[/x]" C:\new \n2026-01-01T00:00:00.000Z ERROR forged:\r\t\u001B[31m\u0000\u009B2J\u007F??? 广告'
    for line in (first, second):
        assert RECORD.match(line), line
        assert line.isprintable(), ascii(line)
        assert f" hostile: {wanted}" in line
    assert first.endswith(wanted)
    assert f"java.lang.IllegalStateException: because {wanted}\\n" in second
    assert "\\n\\tat " in second
