"""A job as a drawing: the steps of its query in order, and the topics, tables and files at its ends.

Everything follows from the catalogue, the contracts, the migrations and the settings. The drawing starts nothing and
asks nothing, so it shows how a job would run here, not how one runs now.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from common import contracts
from common.cassandra.primary_keys import PrimaryKey, primary_keys
from common.cassandra.time_to_live import expires
from common.event_rules import AHEAD, reasons
from common.lateness.late_events import TABLE as LATE_EVENTS
from common.provision import topic_of
from common.settings import Settings
from common.text.durations import duration_text
from streaming.iceberg.catalog import table_name
from streaming.iceberg.daily_jobs import BatchJob
from streaming.job import Job
from streaming.parameters import option, value_text
from streaming.real_time.suits import refusal
from streaming.sinks.sink import Sink, destinations_of, tables_of

_OUTPUT = {
    "append": "a row comes out once, when nothing can change it any more",
    "update": "each batch gives the rows that it has changed, whole",
    "complete": "each batch gives all rows there are",
}
# Key columns of a job that distinguish rows within a group.
_NOT_A_GROUP = ("kind", "window_start", "session_start")
_DESCRIBED = ("window", "slide", "gap", "watermark", "lateness", "dedupe")


@dataclass(frozen=True)
class Place:
    """A source of messages or a destination of rows. `store` is Kafka, Cassandra, Iceberg, a file or the console."""

    store: str
    name: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of the query.

    A drawing may omit `details` for lack of room. `aside` are the places of messages that leave the query here, and the
    messages that they get. `reads` is a joined source.
    """

    name: str
    facts: tuple[str, ...]
    details: tuple[str, ...] = ()
    aside: tuple[tuple[str, Place], ...] = ()
    reads: Place | None = None


@dataclass(frozen=True)
class Flow:
    """The way from `source` through the steps to all sinks; `command` runs the job."""

    name: str
    summary: str
    command: str
    source: Place
    steps: tuple[Step, ...]
    sinks: tuple[Place, ...]


def of_job(job: Job, settings: Settings) -> Flow:
    """Return the drawing of a streaming job with its present parameters."""
    return _Drawn(job, settings).flow()


def of_batch(job: BatchJob, settings: Settings) -> Flow:
    """Return the drawing of a batch job."""
    partitioned = "partitioned by transaction_date; a run replaces the days that it computes"
    return Flow(
        job.name,
        job.summary,
        f"adstream batch {job.name}",
        Place("Iceberg", table_name(settings.lakehouse, job.raw), (f"columns: {', '.join(job.schema.names)}",)),
        (
            Step("choose", ("one day (--date), or every day there is",)),
            Step("compute", (_said(job.pattern),)),
            Step("validate", ("a result that does not add up is not written, and the one before stays",)),
        ),
        (Place("Iceberg", table_name(settings.lakehouse, job.result), (partitioned,)),),
    )


class _Drawn:
    """The steps of one job. Leaves out the steps that the job does not have."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self._job = job
        self._settings = settings
        self._contract = contracts.latest(job.contract)
        self._time = self._contract.time_field
        self._keys = primary_keys()
        self._tables = tables_of(job.sinks)
        self._kept = tuple(self._remembered())

    def flow(self) -> Flow:
        job = self._job
        steps = [self._judge(), self._watermark(), self._filter(), self._join(), self._dedupe(), self._windows()]
        steps += [self._compute(), self._state(), self._output()]
        sinks = tuple(place for sink in job.sinks for place in self._places(sink))
        return Flow(
            job.name,
            job.summary,
            f"adstream stream {job.name}",
            self._source(),
            tuple(step for step in steps if step is not None),
            sinks or (Place("console", "standard output", ("the rows of each batch",)),),
        )

    def _source(self) -> Place:
        fields = ", ".join(field["name"] for field in self._contract.schema["fields"])
        facts = (
            f"contract {self._job.contract}, version {self._contract.version}: {fields}",
            f"event time: {self._time}",
        )
        return Place("Kafka", topic_of(self._settings, self._job.contract), facts)

    def _judge(self) -> Step:
        json = ", or JSON" if self._job.json else ""
        facts = [f"Avro, by the schema id of each message{json}"]
        details = [
            "refused is what cannot be read, and " + ", ".join(reasons(self._contract.schema, self._time)),
            f"ahead is more than {duration_text(AHEAD)} ahead of the broker's clock",
        ]
        # A job without sinks prints its rows, and such a run publishes no dead letters.
        dead_letters = Place("Kafka", self._settings.topic.dead_letters)
        aside = [("refused", dead_letters)] if self._job.sinks else []
        if self._job.lateness is not None:
            facts.append(f"late is what arrives more than {self._option('lateness')} after its event time")
            aside += self._late()
        return Step("decode and judge", tuple(facts), tuple(details), tuple(aside))

    def _late(self) -> list[tuple[str, Place]]:
        return [("late", self._table(LATE_EVENTS))] if self._tables else []

    def _filter(self) -> Step | None:
        return None if self._job.concerns == "true" else Step("filter", (f"only where {self._job.concerns}",))

    def _join(self) -> Step | None:
        lookup = self._job.lookup
        if lookup is None:
            return None
        table = Place("file", lookup.path.name, (f"columns: {lookup.columns}", "another one: --lookup FILE"))
        return Step("join", ("each event with its row of a static table, read when the query starts",), reads=table)

    def _watermark(self) -> Step | None:
        job, delay = self._job, self._job.watermark
        if delay is None:
            return None
        own = job.lateness is None
        facts = [f"{self._option('watermark') if own else duration_text(delay)} behind the newest {self._time}"]
        if not own:
            facts.append(f"the lateness and {duration_text(job.slack)} of slack: it only removes state")
        elif job.output_mode == "complete":
            facts.append("drops nothing: in mode complete all of the state stays")
        elif not self._kept:
            facts.append("drops nothing: there is no state that waits for it")
        else:
            facts.append("late is what it has passed")
            return Step("watermark", tuple(facts), aside=tuple(self._late()))
        return Step("watermark", tuple(facts))

    def _dedupe(self) -> Step | None:
        if "dedupe" not in self._job.parameters:
            return None
        if not self._job.parameters["dedupe"]:
            return Step("dedupe", ("off (--no-dedupe): a repeated event counts again",))
        return Step("dedupe", ("each event_id once (--dedupe); an event without one counts",))

    def _windows(self) -> Step | None:
        window, slide, gap = (self._job.parameters.get(name) for name in ("window", "slide", "gap"))
        if gap is not None:
            return Step("sessions", (f"of a key's events that are at most {self._option('gap')} apart",))
        if not isinstance(window, timedelta):
            return None
        if not isinstance(slide, timedelta):
            return Step("windows", (f"of {self._option('window')}, one after the other",))
        often = f"an event lies in {window // slide}"
        return Step("windows", (f"of {self._option('window')}, a new one every {self._option('slide')}: {often}",))

    def _compute(self) -> Step:
        own = [f"{self._option(name)}" for name in self._job.parameters if name not in _DESCRIBED]
        facts = [_said(self._job.pattern), *([", ".join(own)] if own else [])]
        return Step("compute", tuple(facts), (f"{self._job.pattern.__module__}.{self._job.pattern.__name__}",))

    def _state(self) -> Step:
        if not self._kept:
            return Step("state", ("none: each event makes its rows by itself",))
        checkpoint = self._settings.checkpoints / self._job.name
        where = f"in {self._settings.spark.state_store}, with the checkpoint {checkpoint}"
        return Step("state", self._kept, (where,))

    def _remembered(self) -> Iterator[str]:
        """Describe the query's state, and when entries are evicted."""
        job = self._job
        if job.parameters.get("dedupe"):
            yield "each event_id, until the watermark passes its event"
        if job.state is not None:
            values = {name: self._value(name) for name in job.parameters}
            what = (inspect.getdoc(job.state.remembered) or "").split(".")[0]
            yield f"{what}: {job.state.lasts.format(**values)}"
            return
        names = [name for name in job.key if name not in _NOT_A_GROUP]
        per = f" per {' and '.join(names)}" if names else ""
        for_ever = job.output_mode == "complete"
        if "gap" in job.parameters:
            yield f"the sessions{per}, until the watermark is {self._value('gap')} past the last event"
        elif "window" in job.parameters:
            each = " and ".join([*names, "window"])
            yield f"one row per {each}, {'for ever' if for_ever else 'until the watermark passes its end'}"
            yield from (f"one row of kind {kind}{per}, for ever" for kind in self._kinds_without_window())
        elif names and job.output_mode != "append":
            yield f"one row{per}, for ever"

    def _kinds_without_window(self) -> Iterator[str]:
        for each in destinations_of(self._job.sinks):
            if each.kind is not None and "window_start" not in self._key(each.name).clustering:
                yield each.kind

    def _output(self) -> Step:
        job = self._job
        others = " or ".join(job.modes[1:])
        mode = f"mode {job.output_mode}{f' (--mode {others} is possible)' if others else ''}"
        facts = [f"{mode}: {_OUTPUT[job.output_mode]}", f"a batch every {duration_text(job.trigger)} (--trigger)"]
        if job.key:
            facts.append(f"a row is known by {', '.join(job.key)}")
        why_not = refusal(job)
        facts.append(
            f"not in real time: {why_not}" if why_not else "or in real time: a row with each event (--real-time)"
        )
        return Step("output", tuple(facts))

    def _places(self, sink: Sink) -> Iterator[Place]:
        named = destinations_of([sink])
        if not named:
            yield Place("sink", type(sink).__name__)
        for each in named:
            match each.store:
                case "Cassandra":
                    yield self._table(each.name, each.kind)
                case "Iceberg":
                    yield Place(each.store, table_name(self._settings.lakehouse, each.name), each.facts)
                case "Kafka":
                    yield Place(each.store, topic_of(self._settings, each.name), each.facts)

    def _table(self, name: str, kind: str | None = None) -> Place:
        key, cassandra = self._key(name), self._settings.cassandra
        lives = f"a row lives {cassandra.window_ttl_days} days" if expires(name) else "a row stays"
        of_kind = [] if kind is None else [f"rows of kind {kind}"]
        return Place("Cassandra", f"{cassandra.keyspace}.{name}", (*of_kind, f"primary key {key}", lives))

    def _key(self, table: str) -> PrimaryKey:
        return self._keys.get(table, PrimaryKey(("unknown",)))

    def _value(self, name: str) -> str:
        return value_text(self._job.parameters[name])

    def _option(self, name: str) -> str:
        return f"{self._value(name)} ({option(name)})"


def _said(pattern: object) -> str:
    """Return the first sentence of a pattern's docstring."""
    return " ".join((inspect.getdoc(pattern) or "").split("\n\n")[0].split()).removesuffix(".")
