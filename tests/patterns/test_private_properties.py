"""Secrets among Spark's properties reach the JVM, and neither its arguments nor Spark's pages."""

from pathlib import Path

import pytest

from streaming.spark import private_properties
from tests.patterns.own_process import answer

WORST = " pä\\ss:w=o#r!d\t 'of' \"mine\" $HOME %s "
CREDENTIAL = "cl1ent:canary"
STARTED = """
import json, sys, urllib.request
import psutil
from common.settings import Settings
from streaming.spark.session import open_session

spark = open_session(Settings(), "private", lakehouse=True)
(jvm,) = [each for each in psutil.Process().children(recursive=True) if each.name() == "java"]
with urllib.request.urlopen(f"{spark.sparkContext.uiWebUrl}/environment/") as page:
    shown = page.read().decode()
values = {name: spark.conf.get(name) for name in sys.argv[1:]}
print(json.dumps({"arguments": jvm.cmdline(), "values": values, "page": shown}))
"""


def test_secrets_are_in_no_argument_and_on_no_page(tmp_path: Path) -> None:
    here = "spark.sql.catalog.lakehouse"
    wanted = {f"{here}.jdbc.password": WORST, f"{here}.credential": CREDENTIAL, f"{here}.jdbc.user": "lake"}
    environment = {
        "ADSTREAM_LAKEHOUSE_TYPE": "jdbc",
        "ADSTREAM_LAKEHOUSE_URI": "jdbc:sqlite::memory:",
        "ADSTREAM_LAKEHOUSE_USERNAME": "lake",
        "ADSTREAM_LAKEHOUSE_PASSWORD": WORST,
        "ADSTREAM_LAKEHOUSE_PROPERTIES": f"credential={CREDENTIAL}",
        "ADSTREAM_SPARK_UI": "true",
    }
    found = answer(STARTED, tmp_path, *wanted, **environment)
    assert found["values"] == wanted
    assert "lake" in " ".join(found["arguments"])
    for secret in (WORST, CREDENTIAL):
        assert not [argument for argument in found["arguments"] if secret in argument]
        assert secret not in found["page"]
    assert "credential" in found["page"]


@pytest.mark.parametrize(
    ("option", "secret"),
    [
        ("spark.hadoop.fs.s3a.secret.key=x", True),
        ("spark.hadoop.fs.s3a.access.key=x", True),
        ("spark.sql.catalog.lakehouse.credential=x", True),
        ("spark.sql.catalog.lakehouse.uri=jdbc:postgresql://host/db?password=x", True),
        ("spark.executor.memory=4g", False),
        ("spark.driver.extraJavaOptions=-Dadstream.log=/home/me/secret/log", False),
        (f"{private_properties.PATTERN_OPTION}={private_properties.PATTERN}", False),
        ("spark.sql.shuffle.partitions=2", False),
    ],
)
def test_what_counts_as_a_secret(option: str, secret: bool) -> None:
    name, _, value = option.partition("=")
    assert private_properties.is_secret(name, value) is secret
