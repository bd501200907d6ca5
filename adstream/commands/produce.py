"""`adstream produce NAME`: send events to Kafka or into files: made up from a seed, a documented sample, or a CSV."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adstream.commands import completion, raw_sales
from common.errors import AdstreamError
from common.settings import Settings
from common.system.stopping import stop_requested
from common.text.shown import say

if TYPE_CHECKING:
    from confluent_kafka import Message

    from producer.acknowledged import Acknowledged
    from producer.files import JsonFiles
    from producer.publisher import DeliveryReport, Publisher
    from producer.records import Record
    from producer.source import Source


class OnBadRow(StrEnum):
    """What the run does with a row that cannot be sent."""

    stop = "stop"
    skip = "skip"


class Delimiter(StrEnum):
    """The separator between two cells of a CSV."""

    comma = ","
    semicolon = ";"
    bar = "|"
    tab = "tab"


class ExtraColumns(StrEnum):
    """What the run does with columns besides the five."""

    refuse = "refuse"
    ignore = "ignore"


class Format(StrEnum):
    """The encoding of an event in a message."""

    avro = "avro"
    json = "json"


def produce(
    name: Annotated[
        str,
        typer.Argument(
            help="A source of events, for example ads, or the job that reads them, as `adstream jobs` lists it.",
            autocompletion=completion.producible,
        ),
    ],
    sample: Annotated[
        bool, typer.Option("--sample", help="Send the job's documented sample, to a new topic of its own.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many events. Default: go on until Ctrl-C.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Events a second; 0 is full speed. Default 100; with --csv, --over or --sample 0."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed and --count send the same bytes. Default: a random seed, which is printed."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Time of the first event: now, -5m, or 2025-01-31T10:00:00Z. Default now, or with --seed and"
            " --count 2025-01-01T00:00:00Z."
        ),
    ] = None,
    over: Annotated[
        str | None, typer.Option(help="Spread --count events over this time, ending now, and send them at full speed.")
    ] = None,
    keys: Annotated[
        int | None, typer.Option("--keys", "--ads", min=1, help="How many different ads, users, racks, ... (ads: 100).")
    ] = None,
    skew: Annotated[float | None, typer.Option(min=0, help="Zipf exponent: 0 is even, 1 (default) uneven.")] = None,
    late: Annotated[float | None, typer.Option(min=0, max=1, help="Share of events 11 to 30 minutes late.")] = None,
    out_of_order: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of events up to 2 minutes out of order.")
    ] = None,
    duplicates: Annotated[float | None, typer.Option(min=0, max=1, help="Share of events sent again.")] = None,
    broken: Annotated[float | None, typer.Option(min=0, max=1, help="Share of broken messages, of every kind.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Send the rows of this file: ad_id, timestamp, clicks, views, cost. For ads. It may be compressed, or"
            " a pipe; - is standard input. A row gets the same event_id in every file that holds it."
        ),
    ] = None,
    delimiter: Annotated[
        Delimiter | None,
        typer.Option(
            metavar="CHARACTER", help="The separator between two columns of the CSV: , ; | or tab. Default a comma."
        ),
    ] = None,
    extra_columns: Annotated[
        ExtraColumns | None, typer.Option(help="Whether to refuse or ignore further columns of a CSV. Default refuse.")
    ] = None,
    keep_timestamps: Annotated[
        bool,
        typer.Option(
            "--keep-timestamps",
            help="Keep the times of a CSV. Default: move its newest row to now, and the others with it.",
        ),
    ] = False,
    on_bad_row: Annotated[
        OnBadRow | None, typer.Option(help="Whether to stop at a bad row of a CSV, or to skip it. Default stop.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Send to this topic instead of the usual one.", autocompletion=completion.topics)
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Format | None, typer.Option(help="The encoding of messages. Default avro; json for jobs that read JSON.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Write files of JSON lines into this folder instead; no Kafka is needed.")
    ] = None,
    date: Annotated[str | None, typer.Option(help="The day of daily-sales. Default today.")] = None,
    max_queued: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The maximum of events that wait for the broker (100,000); a full queue slows the producer down.",
        ),
    ] = None,
    acknowledged: Annotated[
        Path | None,
        typer.Option(help="Append a line to this file for each record that Kafka acknowledged, for `adstream verify`."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print where each record was delivered.")] = False,
) -> None:
    """Produce events.

    Ctrl-C waits for events in flight and prints the counts. The exit code is 0, or 130 if a --count, a sample or a CSV
    was not finished.

    Example: `adstream produce ads --rate 500 --late 0.02 --duplicates 0.01 --broken 0.01`

    Example: `adstream produce ads --csv mock_data.csv`

    Example: `adstream produce ads --csv export.csv.gz --delimiter ";" --extra-columns ignore --on-bad-row skip`

    Example: `adstream produce user-clicks --sample`

    Example: `adstream produce rack-alerts --files inbox --rate 5`
    """
    from producer.acknowledged import Acknowledged
    from producer.events import job_of
    from producer.options import check

    settings = Settings()
    options = {
        "sample": sample, "count": count, "rate": rate, "seed": seed, "start": start, "over": over, "keys": keys,
        "skew": skew, "late": late, "out_of_order": out_of_order, "duplicates": duplicates, "broken": broken,
        "csv": csv, "keep_timestamps": keep_timestamps, "on_bad_row": on_bad_row, "topic": topic, "format": format,
        "delimiter": delimiter, "extra_columns": extra_columns,
        "files": files, "max_queued": max_queued, "verbose": verbose, "date": date,
        "acknowledged": acknowledged,
    }  # fmt: skip
    given = {option: value for option, value in options.items() if value is not None and value is not False}
    if name == raw_sales.JOB:
        raw_sales.load_raw_sales(settings, given)
        return
    source = _source(name)
    check(source, given)
    with nullcontext() if acknowledged is None else Acknowledged(acknowledged) as book:
        if sample:
            job = job_of(name)
            steps, pace = source.sample_steps(job, _now_millis()), rate or 0.0
            _send(_outlet(settings, source, given, book, job), steps, pace, sum(map(len, steps)), given)
            say(f"next: adstream stream {job} {_where(given)}")
            return
        records, pace = (_from_csv(csv, given), rate or 0.0) if csv is not None else _made_up(source, given)
        _send(_outlet(settings, source, given, book), [islice(records, count)], pace, count, given)


def _source(name: str) -> "Source":
    """Return the source of this name, or the source whose events the job of this name reads. Raises ConfigError."""
    from producer.events import find, known, of_contract

    if (found := known(name)) is not None:
        return found
    from streaming.jobs import JOBS  # takes a second, and helps a job without its own sample

    return of_contract(JOBS[name].contract) if name in JOBS else find(name, JOBS)


def _where(given: dict[str, Any]) -> str:
    """Return the option with which `adstream stream` finds the sample."""
    named = next((option for option in ("files", "topic") if option in given), None)
    return f"--{named} {shlex.quote(str(given[named]))}" if named else "--sample"


def _send(
    outlet: "Publisher | JsonFiles",
    steps: Iterable[Iterable["Record"]],
    rate: float,
    count: int | None,
    given: dict[str, Any],
) -> None:
    from producer.progress import RunProgress
    from producer.run import run

    with stop_requested() as stop, RunProgress(count, quiet="verbose" in given) as progress:
        for step in steps:
            if not stop.is_set():
                run(outlet, step, rate, stop, progress)
        stopped = stop.is_set()
    say(_summary(outlet, progress.seconds))
    if stopped and (count is not None or "csv" in given):
        raise typer.Exit(130)


def _outlet(
    settings: Settings,
    source: "Source",
    given: dict[str, Any],
    book: "Acknowledged | None",
    sample_of: str | None = None,
) -> "Publisher | JsonFiles":
    """Return the outlet of the events.

    For a sample it first creates the topic. Acknowledged records are written into `book`.
    """
    from producer.files import JsonFiles
    from producer.json_encoding import JsonEncoder

    if "files" in given:
        return JsonFiles(given["files"], sample_of or source.name, JsonEncoder(source.contract(source.name)))
    from common.provision import prepare, prepare_topic, sample_topic
    from producer.publisher import QUEUE_MESSAGES, AvroPublisher, JsonPublisher
    from producer.run import counted

    topic = given.get("topic") or source.topic(settings)
    if sample_of is not None:
        topic = given.get("topic") or sample_topic(sample_of, datetime.now(UTC))
    publisher = JsonPublisher if given.get("format") == Format.json else AvroPublisher
    try:
        if sample_of is not None:
            prepare(settings)
            prepare_topic(settings, topic, source.contract_name)
        return publisher(
            settings,
            topic,
            source.contract(topic),
            on_delivery=_report(topic, given, book),
            queue_messages=given.get("max_queued", QUEUE_MESSAGES),
        )
    except AdstreamError as error:
        raise counted(error, 0, 0) from None


def _made_up(source: "Source", given: dict[str, Any]) -> tuple["Iterator[Record]", float]:
    from producer.options import MIX, TIMING
    from producer.plan import Wish, plan
    from producer.traffic import Mix

    mix = Mix(**{option: given[option] for option in MIX if option in given})
    wish = {option: given[option] for option in (*TIMING, "count", "rate") if option in given}
    decided = plan(Wish(**wish), lambda: datetime.now(UTC))
    for note in decided.notes:
        say(note, err=True)

    def records() -> "Iterator[Record]":
        yield from source.records(decided.seed, mix, decided.begun(_now_millis()))  # the outlet is connected by now

    return records(), decided.rate


def _from_csv(path: Path, given: dict[str, Any]) -> "Iterator[Record]":
    from common.text.csv_rows import BadRow, Form
    from producer.csv_replay import CsvReplay

    def skip(row: BadRow) -> None:
        say(f"{path} line {row.line} skipped: {row.reason}", err=True)

    delimiter = given.get("delimiter", Delimiter.comma)
    form = Form("\t" if delimiter is Delimiter.tab else delimiter, given.get("extra_columns") is ExtraColumns.ignore)
    replay = CsvReplay(
        Path("/dev/stdin") if str(path) == "-" else path,
        None if "keep_timestamps" in given else _now_millis(),
        skip if given.get("on_bad_row") is OnBadRow.skip else None,
        form,
        notice=lambda line: say(line, err=True),
    )
    return iter(replay)


def _now_millis() -> int:
    from producer.timeline import to_millis

    return to_millis(datetime.now(UTC))


def _report(topic: str, given: dict[str, Any], book: "Acknowledged | None") -> "DeliveryReport | None":
    if "verbose" not in given:
        return None if book is None else lambda _number, message: book.add(message)

    def report(number: int, message: "Message") -> None:
        if book is not None:
            book.add(message)
        say(f"record {number} delivered to {topic} [{message.partition()}] at offset {message.offset()}")

    return report


def _summary(outlet: "Publisher | JsonFiles", seconds: float) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in outlet.kinds.most_common())
    rate = outlet.acknowledged / seconds if seconds else 0.0
    return f"{outlet.sent:,} events {outlet.done} in {seconds:.1f} s ({rate:,.0f}/s){': ' if kinds else ''}{kinds}"
