"""A small package that offers a source, a job and a sink by entry points. pip installs it into a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
NAME = "adstream-notes"
SECONDS = 300

PROJECT = f"""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{NAME}"
version = "1.0"

[project.entry-points."adstream.jobs"]
notes = "notes:JOBS"

[project.entry-points."adstream.sources"]
notes = "notes:SOURCE"

[project.entry-points."adstream.sinks"]
note-lines = "notes.sinks:Lines"

[tool.setuptools]
packages = ["notes"]

[tool.setuptools.package-data]
notes = ["schemas/*.avsc", "cql/*.cql"]
"""
CODE = """
'''Notes that people take.'''

from datetime import timedelta
from typing import Annotated

from producer.samples import one_step
from producer.source import Source
from producer.traffic import Keys
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from streaming.job import Job
from streaming.patterns.arguments import Watermark
from streaming.patterns.event_time import interval


def long_notes(
    notes: DataFrame,
    *,
    watermark: Watermark = timedelta(minutes=1),
    at_least: Annotated[int, "Shorter notes are left out."] = 3,
) -> DataFrame:
    '''Notes of at least so many words.'''
    return notes.withWatermark("taken_at", interval(watermark)).where(F.col("words") >= at_least).select("who", "words")


def note(rng, who, taken_at, event_id):
    return {"who": who, "words": rng.randint(1, 9), "taken_at": taken_at}


SAMPLE = one_step({"who": f"w{n}", "words": n, "taken_at": 1_700_000_000_000 + n} for n in range(1, 6))
JOBS = [Job("long-notes", "notes of many words", "notes", long_notes, modes=("append",), json=True)]
SOURCE = Source("notes", "notes", "who", note, Keys("who-"), {"long-notes": SAMPLE}, json=True)
"""
SINK = """
'''Rows as lines of a file.'''

import os


class Lines:
    def open(self, spark, settings, schema):
        def write(rows, stamp):
            with open(os.environ["NOTE_LINES"], "a") as file:
                found = rows.collect()
                file.writelines(f"{row.who} {row.words}\\n" for row in found)
            return len(found)

        return write
"""
AVSC = (
    '{"type": "record", "name": "Note", "namespace": "notes", "fields": ['
    '{"name": "who", "type": "string"}, {"name": "words", "type": "int"},'
    '{"name": "taken_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}'
)
CQL = "CREATE TABLE IF NOT EXISTS long_notes (who text PRIMARY KEY, words int);"


class Extension:
    """The package: its sources, and the folder `site` with pip's installation."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "sources"
        self.site = folder / "site"
        self._folder = folder
        package = self.sources / "notes"
        for place in ("schemas", "cql"):
            (package / place).mkdir(parents=True)
        (self.sources / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        (package / "__init__.py").write_text(dedent(CODE), encoding="utf-8")
        (package / "sinks.py").write_text(dedent(SINK), encoding="utf-8")
        (package / "schemas" / "notes-value.v1.avsc").write_text(AVSC, encoding="utf-8")
        (package / "cql" / "001_long_notes.cql").write_text(CQL, encoding="utf-8")

    def install(self) -> None:
        """Install the package with pip, without a registry: the build tools come from this environment."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-index"]
        command += ["--no-build-isolation", "--no-deps", "--target", str(self.site), str(self.sources)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def adstream(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the program in an environment that has the package."""
        return subprocess.run(
            [sys.executable, "-m", "adstream.cli", *arguments],
            cwd=self._folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(self.site), str(ROOT))),
                "ADSTREAM_DATA_DIR": str(self._folder / "data"),
                "ADSTREAM_SPARK_UI": "false",
                "COLUMNS": "200",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
