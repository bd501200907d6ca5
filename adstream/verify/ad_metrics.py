"""`adstream verify ad-metrics`: compare the tables with the raw topic, as far as the job has committed it."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adstream.verify import acknowledged as book
from adstream.verify import applied, backfilled, baseline, ledger
from adstream.verify.acknowledged import Acknowledged
from adstream.verify.baseline import Baseline
from adstream.verify.judge import AHEAD
from adstream.verify.ledger import Ledger
from adstream.verify.offsets import Batch, JobCheckpoint, Offsets
from adstream.verify.oracle import BEYOND, WINDOWS, Oracle
from adstream.verify.tables import Comparison, compare, read_tables
from adstream.verify.topic import Piece, Reading, read
from common import kafka
from common.avro.schema_types import from_text
from common.bookkeeping.backfills import recorded
from common.cassandra.kept_rows import kept_since
from common.errors import CheckpointError, ServiceUnavailable, Unproved
from common.kafka import clocks
from common.registry.writers import Writers
from common.settings import READ_UNCOMMITTED, IsolationLevel, Settings

# While a job runs, verify reads newly committed messages again until they are few, but no more often than this.
_ROUNDS = 10
_LITTLE = 5_000
# A window's row may be written this long before the window begins. Its TTL counts from the write.
_EARLY = AHEAD + timedelta(minutes=1)

Progress = Callable[[str, int, int], None]
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Wish:
    """Options of verify, besides the tables and the ledger.

    `acknowledged`: files of a producer to look up in the topic. `from_baseline`: start from the newest baseline even if
    the topic is complete. `keep_baseline`: write a baseline if all is equal. `partial`: if messages have aged out and
    no baseline fits, compare the remaining windows.
    """

    acknowledged: Sequence[Path] = ()
    from_baseline: bool = False
    keep_baseline: bool = False
    partial: bool = False


@dataclass
class Verified:
    """The comparison, and the fate of every offset up to the last batch committed before the tables were read.

    Verify started from the baseline `since`, and wrote the baseline `kept`. `unproved` describes the parts that it
    could not compare. `backfilled` is the number of late events in windows because of a backfill. `clock` names the
    clock that decided lateness, if not the broker's.
    """

    comparison: Comparison
    ledger: Ledger
    acknowledged: Acknowledged | None = None
    since: Baseline | None = None
    kept: Baseline | None = None
    unproved: str = ""
    backfilled: int = 0
    clock: str = ""

    @property
    def fates(self) -> dict[str, int]:
        return self.ledger.fates

    @property
    def equal(self) -> bool:
        """Whether no cell differs, every offset is explained, and every acknowledged message exists."""
        lost = self.acknowledged.missing if self.acknowledged else 0
        return not (self.comparison.different or self.ledger.unexplained or lost)


def verify(
    settings: Settings,
    checkpoint: Path,
    wish: Wish | None = None,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    progress: Progress = lambda _what, _done, _all: None,
) -> Verified:
    """Compute again the rows that belong to this (local) checkpoint, and compare them with Cassandra.

    Raises CheckpointError if there is no checkpoint, or if it belongs to another topic. Raises Unproved if messages
    have aged out and no baseline covers them, unless the wish is `partial`.
    """
    with tempfile.TemporaryDirectory(prefix="adstream-verify-") as folder:
        job = JobCheckpoint(checkpoint)
        with closing(
            Oracle(Path(folder), window=job.window, slide=job.slide, dedupe=job.dedupe, by_time=job.real_time)
        ) as oracle:
            return _Run(settings, job, wish or Wish(), oracle, Path(folder), clock, progress).verified()


class _Run:
    """One verification, step by step."""

    def __init__(
        self,
        settings: Settings,
        job: JobCheckpoint,
        wish: Wish,
        oracle: Oracle,
        folder: Path,
        clock: Clock,
        progress: Progress,
    ) -> None:
        # Verify reads like the job: messages that the job has never seen cannot be in its tables.
        self._settings = settings.reading(job.isolation)
        self._job, self._wish, self._oracle = job, wish, oracle
        self._folder, self._clock, self._progress = folder, clock, progress
        self._topic = settings.topic.ads
        if job.topic != self._topic or job.topic_id != kafka.topic_id(settings, self._topic):
            raise CheckpointError(
                f"{job.path} is a checkpoint of another topic than the {self._topic} there is now",
                "give the --checkpoint that belongs to it",
            )
        self._begins = kafka.begin_offsets(settings, self._topic)
        self._provable: datetime | None = None

    def verified(self) -> Verified:
        committed = self._job.committed()
        since = self._baseline(committed)
        first = self._first_offsets(committed, since)
        reached = self._catch_up(first, committed)
        if self._job.real_time:
            applied.await_all(self._settings, ledger.JOB, lambda: self._progress("waiting for applied rows", 0, 0))
            self._read_in_real_time(reached)
        else:
            self._read_found(reached)
        letters_from = ledger.read_letters(self._settings, self._oracle, self._job.made)
        written_down = self._read_acknowledged(first, reached)
        self._progress("computing", 0, 0)
        backfilled.load(self._oracle.db, recorded(self._settings.cassandra, ledger.JOB, self._job.id))
        self._oracle.compute()
        oldest = kept_since(self._settings.cassandra, WINDOWS, self._clock()) + _EARLY
        compared = max(oldest, self._provable) if self._provable else oldest
        begins = {p: self._job.start.get(p, 0) if since or not self._provable else first[p] for p in reached.ends}
        result = Verified(
            compare(self._oracle, oldest=compared, with_totals=self._provable is None, between=self._job.real_time),
            ledger.settle(
                self._oracle,
                topic=self._topic,
                begins=begins,
                read=first,
                ends=reached.ends,
                letters_from=letters_from,
            ),
            book.check(self._oracle, self._topic, self._begins) if written_down else None,
            since,
            backfilled=self._oracle.backfilled(),
            clock="; ".join(clocks.told(self._settings, self._topic)),
        )
        if self._provable:
            result.unproved = f"totals, and windows that begin before {ledger.day(self._provable)}"
        if self._wish.keep_baseline and result.equal and not self._provable:
            result.kept = self._keep(reached.ends, oldest)
        return result

    def _baseline(self, committed: Batch) -> Baseline | None:
        """Return the baseline to start from, if a run needs or wishes for one and there is one."""
        aged_out = any(self._begins.get(p, 0) > self._job.start.get(p, 0) for p in committed.ends)
        if not (aged_out or self._wish.from_baseline):
            return None
        found = baseline.newest(self._job, self._begins, committed.ends)
        if found is None and aged_out:
            self._accept_a_part()
        if found is not None:
            found.load(self._oracle)
        return found

    def _accept_a_part(self) -> None:
        if not self._wish.partial:
            raise Unproved(
                f"the topic {self._topic} no longer has all that the job has read, and no kept baseline reaches to it",
                "--partial compares the windows that can still be computed; keep baselines with --keep-baseline",
            )
        if self._wish.keep_baseline:
            raise Unproved("no baseline can be kept of what cannot be proved", "leave --keep-baseline out")
        self._provable = self._clock()

    def _first_offsets(self, committed: Batch, since: Baseline | None) -> Offsets:
        """Return the first offset to read in each partition."""
        start = {**self._job.start, **(since.ends if since else {})}
        return {p: min(end, max(start.get(p, 0), self._begins.get(p, 0))) for p, end in committed.ends.items()}

    def _catch_up(self, first: Offsets, committed: Batch) -> Batch:
        """Judge everything up to the last committed batch, boundary 0.

        Repeats this until the job commits only a little in between.
        """
        done = first
        for _ in range(_ROUNDS):
            reached = committed
            for partition in reached.ends:
                first.setdefault(partition, 0)  # the topic got this partition since the start
            self._judge([Piece(p, done.get(p, 0), end, 0) for p, end in reached.ends.items()], "reading the topic")
            done, committed = reached.ends, self._job.committed()
            if sum(committed.ends.values()) - sum(done.values()) <= _LITTLE:
                break
        return reached

    def _read_found(self, reached: Batch) -> None:
        """Read the tables, and judge messages of batches that ran during the read.

        Each batch has a boundary (adstream.verify.tables).
        """
        seen: dict[int, Batch] = {}

        def note() -> None:
            # Spark keeps a hundred batches: while verify reads a large table, Spark may already remove the first.
            last = max(seen, default=reached.number)
            seen.update({batch.number: batch for batch in self._job.begun_after(last)})
            self._progress("reading the tables", 0, 0)

        read_tables(self._settings, self._oracle, note)
        note()
        batches = [seen[number] for number in sorted(seen)]
        if len(batches) >= BEYOND - 1 or any(b.number != reached.number + n for n, b in enumerate(batches, 1)):
            raise ServiceUnavailable("the job wrote too many batches while verify read its tables", "verify again")
        if batches:
            last = batches[-1].ends
            steps = {p: tuple(batch.ends.get(p, 0) for batch in batches) for p in last}
            begins = {p: reached.ends.get(p, 0) for p in last}
            self._judge([Piece(p, begins[p], last[p], 0, steps[p]) for p in last], "reading what came meanwhile")
        if self._provable:
            self._provable = self._complete_since(reached)

    def _read_in_real_time(self, reached: Batch) -> None:
        """Read the tables, and judge all present messages of the topic: a row may have counted any part of them."""
        read_tables(self._settings, self._oracle, lambda: self._progress("reading the tables", 0, 0))
        ends = kafka.end_offsets(self._settings, self._topic)
        pieces = [Piece(p, reached.ends.get(p, 0), end, 1) for p, end in ends.items()]
        self._judge(pieces, "reading what came meanwhile")
        if self._provable:
            self._provable = self._complete_since(reached)

    def _complete_since(self, reached: Batch) -> datetime:
        """Return the event time from which no message is missing. Deleted messages arrived before all others."""
        query = "SELECT partition, min(arrival) FROM raw WHERE boundary = 0 GROUP BY partition"
        arrivals = dict(self._oracle.rows(query))
        cut = [p for p in reached.ends if self._begins.get(p, 0) > self._job.start.get(p, 0)]
        if any(p not in arrivals for p in cut):
            return self._clock() + AHEAD
        return datetime.fromtimestamp(max(arrivals[p] for p in cut) / 1_000, UTC) + AHEAD

    def _read_acknowledged(self, first: Offsets, reached: Batch) -> bool:
        """Read acknowledged messages before or behind the range that was read."""
        if not self._wish.acknowledged:
            return False
        places = book.load(self._oracle, self._wish.acknowledged, self._topic)
        # Behind an open transaction there are messages of others that Kafka has acknowledged. So read everything.
        ends = kafka.end_offsets(self._settings, self._topic, READ_UNCOMMITTED)
        query = 'SELECT partition, max("offset") + 1 FROM raw GROUP BY partition'
        behind = {**reached.ends, **dict(self._oracle.rows(query))}
        pieces = []
        for p, (lowest, highest) in places.items():
            begin, end = first.get(p, 0), behind.get(p, 0)
            pieces.append(Piece(p, max(lowest, self._begins.get(p, 0)), min(begin, highest + 1), BEYOND))
            pieces.append(Piece(p, max(end, lowest), min(ends.get(p, 0), highest + 1), BEYOND))
        self._judge(pieces, "reading what was acknowledged", READ_UNCOMMITTED)
        return True

    def _judge(self, pieces: Sequence[Piece], what: str, level: IsolationLevel | None = None) -> None:
        """Judge the pieces by the schemas that are registered now.

        They include every schema that the job knew when it read the pieces, unless somebody deleted it for good.
        """
        known = Writers.of(self._settings.registry, self._topic).known()
        schemas = {schema_id: from_text(found.text) for schema_id, found in known.items()}
        checksums = bool(self._wish.acknowledged)
        settings = self._settings if level is None else self._settings.reading(level)
        reading = Reading(settings, self._topic, self._folder, schemas, self._job.lateness, checksums)
        count = sum(max(0, piece.end - piece.begin) for piece in pieces)
        read(reading, pieces, lambda done: self._progress(what, done, count))

    def _keep(self, ends: Offsets, oldest: datetime) -> Baseline:
        now = self._clock()
        newest = kafka.end_offsets(self._settings, self._topic, READ_UNCOMMITTED)
        unread = [p for p, end in newest.items() if end > ends.get(p, 0)]
        query = "SELECT partition, max(arrival) FROM fates WHERE boundary = 0 GROUP BY partition"
        arrivals = dict(self._oracle.rows(query))
        since = min([arrivals.get(p, 0) for p in unread], default=round(now.timestamp() * 1_000))
        return baseline.keep(
            self._job,
            self._oracle,
            ends=ends,
            now=now,
            oldest=oldest,
            arrivals=datetime.fromtimestamp(since / 1_000, UTC),
        )
