"""With a missing, truncated or flipped file in its checkpoint, the job refuses to start or ends with the same rows."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from pyspark.sql import SparkSession

from common.cassandra.session import connect
from common.errors import CheckpointError
from common.settings import Settings
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline
from tests.faults.account import Account
from tests.faults.faulty import settle

TABLES = ("ad_metrics", "ad_metrics_by_window")
Rows = dict[str, list[Any]]


def missing(file: Path, _chance: random.Random) -> None:
    file.unlink()


def truncated(file: Path, chance: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data))])


def flipped(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


DAMAGES = (missing, truncated, flipped)


def kinds(checkpoint: Path) -> dict[str, list[Path]]:
    """Return the files of the checkpoint that matter, by their purpose."""

    def newest(folder: str) -> list[Path]:
        return sorted((checkpoint / folder).glob("[0-9]*"), key=lambda file: int(file.name))[-1:]

    return {
        "ours": [checkpoint / "adstream.json"],
        "metadata": [checkpoint / "metadata"],
        "offsets": newest("offsets"),
        "commits": newest("commits"),
        "source": newest("sources/0"),
        "state": sorted(checkpoint.glob("state/*/*/*.changelog")) + sorted(checkpoint.glob("state/*/*/*.zip")),
        "state schema": [file for file in checkpoint.glob("state/*/_metadata/**/*") if file.is_file()],
    }


@pytest.fixture
def base(spark: SparkSession, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Rows]:
    """A checkpoint of four batches and the rows of its tables. The topic has 600 more messages."""
    monkeypatch.setenv("ADSTREAM_SPARK_MAX_EVENTS_PER_BATCH", "600")
    pipeline.produce("--count", "2400", "--over", "3m", *MIX)
    pipeline.run(spark)
    pipeline.produce("--count", "600", "--over", "2m", *MIX)
    with connect(pipeline.settings.cassandra, keyspace=pipeline.settings.cassandra.keyspace) as session:
        rows = {table: list(session.execute(f"SELECT * FROM {table}")) for table in TABLES}
    kept = pipeline.checkpoint.with_name("base")
    pipeline.checkpoint.rename(kept)
    return kept, rows


def restore(session: Session, rows: Rows) -> None:
    for table, kept in rows.items():
        session.execute(f"TRUNCATE {table}", timeout=60)
        for row in kept:
            marks = ", ".join("%s" for _ in row._fields)
            session.execute(f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({marks})", tuple(row))


def trials(checkpoint: Path, chance: random.Random, most: int | None) -> Iterator[tuple[str, Callable[..., None]]]:
    every = [
        (str(chance.choice(files).relative_to(checkpoint)), damage)
        for files in kinds(checkpoint).values()
        for damage in DAMAGES
    ]
    chance.shuffle(every)
    yield from every[:most]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("most", [5, pytest.param(None, marks=pytest.mark.thorough, id="all")])
def test_damage_is_refused_or_changes_nothing(
    spark: SparkSession, pipeline: Pipeline, base: tuple[Path, Rows], account: Account, seed: int, most: int | None
) -> None:
    chance = random.Random(seed)
    kept, rows = base
    outcomes = {}
    settings = Settings()
    with connect(settings.cassandra, keyspace=settings.cassandra.keyspace) as session:
        for file, damage in trials(kept, chance, most):
            restore(session, rows)
            shutil.rmtree(pipeline.checkpoint, ignore_errors=True)
            shutil.copytree(kept, pipeline.checkpoint)
            what = f"{file} {damage.__name__}"
            with account.fault(what, "between batch 3 and batch 4") as fault:
                damage(pipeline.checkpoint / file, chance)
            try:
                pipeline.run(spark)
            except Exception as refused:  # noqa: BLE001
                outcomes[what] = f"{type(refused).__name__} {refused}"
                fault.refused = True
            else:
                outcomes[what] = "the same"
                shutil.copy(kept / "sources/0/0", pipeline.checkpoint / "sources/0/0")  # verify starts at its offsets
                settle(account, pipeline, 3000)
            print(what, "->", outcomes[what], flush=True)
        restore(session, rows)
    shutil.rmtree(pipeline.checkpoint)
    shutil.copytree(kept, pipeline.checkpoint)
    pipeline.run(spark)  # the checkpoint from before the damage goes on
    settle(account, pipeline, 3000)
    assert not any("another driver" in said for said in outcomes.values())
    assert all(said == "the same" or said.startswith(CheckpointError.__name__) for said in outcomes.values()), outcomes
