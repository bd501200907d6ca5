"""Every view shows foreign values as text: any id, name, header or error text."""

import io
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families
from pyspark.sql import Row
from rich.console import Console
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from adstream import ad_metrics_tables, cli, cqlsh, result_tables
from adstream.ad_metrics_tables import Sums
from adstream.cli import app
from adstream.commands.flow_pages import as_mermaid, as_text
from adstream.dashboard import elements
from adstream.dashboard.markdown import literal, with_commands
from adstream.dead_letters.dead_letter_pages import listing, page, plan_lines
from adstream.dead_letters.diagnosis import Diagnoser
from adstream.dead_letters.letters import Letter, Mark, Marks, Place, iso
from adstream.dead_letters.replay import Plan
from adstream.dead_letters.topic_readers import TopicReader
from adstream.result_tables import Rows
from adstream.verify import ad_metrics as verifying
from adstream.verify.ad_metrics import Verified
from adstream.verify.ledger import Ledger, Line
from adstream.verify.oracle import FATES
from adstream.verify.tables import Comparison
from common import contracts
from common.errors import ConfigError, ServiceUnavailable
from common.registry import Registered
from common.text.shown import shown, shown_lines
from common.text.terminal import Terminal, parts
from consumer.decoding import Broken, Decoded
from consumer.display import as_json
from consumer.display import as_text as consumed
from stack import local
from stack.checks import doctor
from stack.checks.doctor import Finding
from stack.local import Status
from streaming import flow as drawing
from streaming import launch
from streaming.micro_batch.progress import BatchReport
from streaming.monitoring.json_lines import json_lines
from streaming.monitoring.metrics import Metrics
from streaming.monitoring.monitor import Monitor
from streaming.query.failures import FINAL
from streaming.sinks import console as console_sink
from tests.property.hostile import MARKUP, SIGNS, harmless, hostile, shows

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 3, 1, 10, 0)  # noqa: DTZ001 - as Cassandra's driver gives times
MILLIS = int(NOW.timestamp() * 1_000)
FIGURE = Decimal("1234567.890123")
CONTRACT = contracts.latest("ads_data")
BATCH = BatchReport(7, 1_000, 4.0, 50, 5, 20, 3, 50, "2026-01-01T00:00:10.000Z", 0)

seeds = given(seed=st.integers(0, 2**32 - 1))
# Nothing is shrunk: a failure names its seed, and a smaller seed gives no simpler texts.
several = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def texts(seed: int) -> list[str]:
    print(f"seed {seed}")
    return hostile(seed)


def said(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_a_sign_that_steers_or_is_not_seen_is_written_out(sign: str) -> None:
    made = shown(f"a{sign}b")
    assert made.isprintable()
    assert made.startswith("a\\")
    assert made.endswith("b")
    assert sign not in made


@given(text=st.text(st.characters(codec="utf-8")) | st.text(st.characters()))
def test_what_is_shown_is_one_line_and_shown_again_stays_as_it_is(text: str) -> None:
    made = shown(text)
    assert made.isprintable()
    assert shown(made) == made
    assert shown_lines(text).split("\n") == [shown(line) for line in text.split("\n")]


@pytest.mark.parametrize("text", [*MARKUP, "ad-001", "广告", "é", "e\u0301", "שלום", "🇨🇭"])
def test_what_can_be_seen_is_left_alone(text: str) -> None:
    assert shown(text) == text


def tables(values: list[str]) -> list[Any]:
    """Return tables of `show`, `sql` and `stream --console` with a value in a cell, in a heading and as the title."""
    rows = [{value: value, "total": FIGURE, "at": NOW, "more": None} for value in values]
    return [console_sink.table(value, list(row), [row]) for value, row in zip(values, rows, strict=True)]


@several
@seeds
def test_a_table_is_text_on_any_console_of_rich(seed: int) -> None:
    values = texts(seed)
    for value, table in zip(values, tables(values), strict=True):
        out = io.StringIO()
        Console(file=out, width=400).print(table)
        assert out.getvalue().count(shown(value).strip()) >= 3, out.getvalue()
        harmless(out.getvalue())


@several
@seeds
def test_every_page_of_show(seed: int) -> None:
    values = texts(seed)
    totals = [Sums(value, None, None, 1, 2, FIGURE, None, TEN) for value in values]
    rows = [{"user_id": value, "window_start": TEN, "clicks": 3} for value in values]
    found = Rows(["user_id", "window_start", "clicks"], rows, complete=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ad_metrics_tables, "top_ads", lambda _settings, _limit: (totals, True))
        shows(said("show", "ads"), values)
        window = Sums(values[0], TEN, TEN, 1, 2, FIGURE, None, TEN)
        patch.setattr(ad_metrics_tables, "one_ad", lambda _settings, ad, _limit: (totals[0], [window]))
        shows(re.sub(r"\s+", " ", said("show", "ads", f"--ad={values[0]}")), [re.sub(r" +", " ", shown(values[0]))])
        patch.setattr(result_tables, "read", lambda *_what: found)
        shows(said("show", "user-clicks"), values)


@several
@seeds
def test_figures_stay_whole_on_a_narrow_terminal_beside_long_and_wide_values(seed: int) -> None:
    values = [*texts(seed), "广" * 200, "x" * 500]
    rows = [{"ad": value, "clicks": 12_345_678, "cost": FIGURE, "at": NOW} for value in values]
    for width in (20, 40, 80, 200):
        out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        console_sink.print_whole(out, console_sink.table("ads", ["ad", "clicks", "cost", "at"], rows))
        output = out.file.getvalue()  # type: ignore[attr-defined]
        harmless(output)
        for figure in ("12,345,678", "1,234,567.890123", "2026-03-01 12:00:00"):
            assert output.count(figure) == len(values), (width, output)
        assert "…" not in output.replace("…", "", sum(value.count("…") for value in values))


@several
@seeds
def test_rows_of_sql_and_of_the_console(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    values = texts(seed)
    rows = [Row(ad=value, total=number, parts=[value]) for number, value in enumerate(values)]
    found = SimpleNamespace(columns=["ad", "total", "parts"], limit=lambda _most: SimpleNamespace(collect=lambda: rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "computed", lambda *_what: nullcontext(SimpleNamespace(sql=lambda _query: found)))
        shows(said("sql", "user-clicks", "select 1", "--topic", "t"), values)
    capsys.readouterr()
    kinds = [Row(kind=value, ad=value, window_start=None, total=1) for value in values[: console_sink.ROWS_SHOWN]]
    frame = SimpleNamespace(columns=["kind", "ad", "window_start", "total"], collect=lambda: kinds)
    assert console_sink.show(frame) == len(kinds)  # type: ignore[arg-type]
    shows(capsys.readouterr().out, values[: console_sink.ROWS_SHOWN])


class Message:
    """The part of a message that the debug consumer shows. Only librdkafka can make the real class."""

    def __init__(self, text: str) -> None:
        self._text = text

    def topic(self) -> str:
        return self._text

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 45

    def timestamp(self) -> tuple[int, int]:
        return 2, MILLIS

    def key(self) -> bytes:
        return self._text.encode(errors="surrogatepass")

    value = key

    def headers(self) -> list[tuple[str, bytes]]:
        return [(self._text, self.key())]


@several
@seeds
def test_lines_of_the_debug_consumer(seed: int) -> None:
    for text in texts(seed):
        for outcome in (Decoded(3, {text: text, "tags": [text]}), Broken(text, 3)):
            line = consumed(Message(text), outcome)  # type: ignore[arg-type]
            assert line.isprintable()
            assert line.startswith(shown(text))
            exact = json.loads(as_json(Message(text), outcome))  # type: ignore[arg-type]
            assert exact["topic"] == text
            told = exact.get("value") if isinstance(outcome, Decoded) else exact["broken"]
            assert told == ({text: text, "tags": [text]} if isinstance(outcome, Decoded) else text)


def letters(values: list[str]) -> list[Letter]:
    return [
        Letter(Place(text, 0, at), text, NOW, 7, text, 1, text.encode(errors="replace"), b"\x00", [(text, b"x")], NOW)
        for at, text in enumerate(values)
    ]


@several
@seeds
def test_pages_of_dead_letters(seed: int) -> None:
    values = texts(seed)
    found = letters(values)
    marks = Marks({str(each.place): Mark(each.job, each.job, iso(each.timestamp), {}) for each in found})
    shows("\n".join(listing(values[0], found, found, marks, as_json=False)), values)
    for line, text in zip(listing(values[0], found, found, marks, as_json=True), values, strict=True):
        assert line.isascii()
        assert json.loads(line)["reason"] == text
    for text, letter in zip(values, found, strict=True):
        schema = {"type": "record", "name": "r", "fields": [{"name": "ad", "type": {"type": "string", "doc": text}}]}
        diagnose = Diagnoser(
            text, {7: Registered(7, 1, json.dumps(schema))}, lambda _id: "{}", CONTRACT, takes_json=False
        )
        reader = TopicReader(text, CONTRACT, takes_json=False, lateness=timedelta(minutes=10))
        said = "\n".join(page(letter, diagnose(b"\x00\x00\x00\x00\x07\x02a", [], MILLIS), marks.of(letter), reader, 64))
        shows(said, [text])
    shows(
        "\n".join(plan_lines(Plan(outgoing=[], before=[], refused=[(each, each.reason) for each in found[:5]]))),
        values[:5],
    )


@several
@seeds
def test_pages_of_verify_doctor_status_and_late_events(seed: int) -> None:
    values = texts(seed)
    fates = dict.fromkeys(FATES, 0) | {"counted": 7}
    ledger = Ledger([Line(0, 2, 9, fates, 0)], values[20:])
    verified = Verified(Comparison(rows=4, cells=16, differences=values[:20]), ledger, unproved=values[0])
    findings = [Finding("WARN", value, value, value) for value in values]
    down = [Status(value, value, None, value, None, Path("/log")) for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "verify", lambda *_what, **_how: verified)
        patch.setenv("ADSTREAM_TOPIC_ADS", "ads")
        shows(CliRunner().invoke(app, ["verify", "ad-metrics"]).stdout, values)
        patch.setattr(doctor, "CHECKS", [lambda _settings: findings])
        shows(said("doctor"), values)
        patch.setattr(local, "status", lambda _settings: down)
        patch.setenv("COLUMNS", "1000")
        shows(said("status", code=1), values)


@several
@seeds
def test_drawings_of_jobs(seed: int) -> None:
    for text in texts(seed):
        place = drawing.Place(text, text, (text,))
        step = drawing.Step(text, (text,), (text,), ((text, place),), place)
        flow = drawing.Flow(text, text, text, place, (step,), (place, place))
        out = io.StringIO()
        for line in as_text(flow, 500):
            Console(file=out, width=1_000).print(line)
        shows(out.getvalue(), [text])
        mermaid = "\n".join(as_mermaid(flow))
        harmless(mermaid)
        for box in re.findall(r'"([^"]*)"', mermaid):
            assert "<" not in box.replace("<br/>", "")
        assert mermaid.count('"') % 2 == 0


@several
@seeds
def test_error_lines_notices_and_progress(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    for text in texts(seed):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cli, "app", fails(ServiceUnavailable(f"<{text}>", f"<{text}>")))
            with pytest.raises(SystemExit):
                cli.main()
        [line] = capsys.readouterr().err.splitlines()
        harmless(line)
        assert line.startswith("error: <")
        out = Terminal(file=io.StringIO(), width=1_000)
        out.print(text, style="yellow")
        out.print(parts(("equal", "green"), f": {text}"))
        shows(out.file.getvalue(), text.split("\n"))  # type: ignore[attr-defined]
        assert cqlsh._harmless(f"\x1b[0;1;33m{text}\x1b[0m").count("\x1b") == 2 + text.count("\x1b[31m")


def fails(error: Exception) -> Callable[..., None]:
    def run(**_options: object) -> None:
        raise error

    return run


@several
@seeds
def test_lines_of_the_log_are_one_record_each_and_exact(seed: int) -> None:
    out = io.StringIO()
    values = texts(seed)
    with json_lines("ad-metrics", out) as listener:
        for text in values:
            listener.notice(text)
    lines = out.getvalue().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["message"] for line in lines] == values
    assert all(line.isascii() and line.isprintable() for line in lines)


@several
@seeds
def test_labels_of_metrics(seed: int) -> None:
    values = texts(seed)
    for text in values:
        metrics = Metrics(text, 1.0, up=lambda: True, ready=lambda: True, now=lambda: NOW)
        progress = {
            "durationMs": {text: 5},
            "sources": [{"endOffset": {"ads": {text: 1}}, "latestOffset": {"ads": {text: 2}}}],
            "stateOperators": [
                {"operatorName": text, "numRowsTotal": 1, "memoryUsedBytes": 1, "customMetrics": {}}
            ],
        }  # fmt: skip
        metrics.batch(BatchReport(**{**vars(BATCH), "dead_by_reason": {text: 3}, "progress": progress}))
        for accept in ("", "application/openmetrics-text; version=1.0.0"):
            page = metrics.exposed(accept)[0].decode()
            harmless(page)
        samples = [
            one for family in text_string_to_metric_families(metrics.exposed()[0].decode()) for one in family.samples
        ]
        assert {one.labels["job"] for one in samples} == {shown(text)}
        labels = {value for one in samples for name, value in one.labels.items() if name not in ("job", "le")}
        assert labels == {shown(text)}


@several
@seeds
def test_the_reason_why_a_job_is_not_ready_is_one_line(seed: int) -> None:
    monitor = Monitor("ad-metrics", "ads", timedelta(seconds=3), now=lambda: NOW)
    for text in texts(seed):
        monitor.failed(text)
        assert monitor.progress()["reason"].endswith(text)
        harmless(f"{shown(monitor.unready())}\n")


# Patterns that Streamlit interprets after parsing (its StreamlitMarkdown, with remark-gfm and remark-emoji).
LATER = re.compile(
    r":material[/_]|:[\w+-]+:|(?:https?://|www(?=\.))[-.\w]+\.\w|[-.\w+]+@[-\w]+(?:\.[-\w]+)+"
    r"|(?:^|\s)(?:<->|->|<-|--|>=|<=|~=)(?:\s|$)",
    re.IGNORECASE,
)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rendered(source: str) -> tuple[str, str]:
    """Return the visible text of this Markdown, and the part of it that is not code.

    Fails on any other markup.
    """
    [_open, inline, _close] = MARKDOWN.parse(f"a {source} b")
    seen, text = "", ""
    for token in inline.children or []:
        assert token.type in ("text", "text_special", "code_inline"), (source, token)
        seen += token.content
        text += "\n" if token.type == "code_inline" else token.content
    return seen[2:-2], text


@settings(several, max_examples=50)
@seeds
def test_markdown_of_the_dashboard_reads_as_the_text_does(seed: int) -> None:
    for value in [*MARKUP, *texts(seed)]:
        without = value.replace("`", "'")
        for said, source in ((value, literal(value)), (without, with_commands(without).strip())):
            seen, text = rendered(source)
            assert seen == " ".join(shown(said).split())
            assert not LATER.search(text), (value, source)
            assert ":material/" not in source
            # Streamlit reads mathematics and directives before it removes backslashes.
            outside = re.sub(r"\\.|(`+)(?!`).*?(?<!`)\1(?!`)", "", source)
            assert not re.search(r"[$:<\[`\\]", outside)


def pages(values: list[str]) -> None:
    """Draw a page of the dashboard with each value in each possible place. Runs in Streamlit."""
    from adstream.dashboard import elements
    from common.errors import ServiceUnavailable

    rows = [{"ad_id": value, "cost": float(at)} for at, value in enumerate(values)]
    elements.table(rows, key="ads")
    elements.bars(rows, "cost", "ad_id", "Cost")
    for value in values:
        with elements.service():
            raise ServiceUnavailable(value, value)


def test_a_page_of_the_dashboard_shows_values_as_text() -> None:
    values = texts(1)
    ran = AppTest.from_function(pages, args=(values,), default_timeout=60).run()
    assert not ran.exception
    [table] = ran.dataframe
    assert list(table.value["ad_id"]) == [shown(value) for value in values]
    assert len(ran.error) == len(values)
    for box in ran.error:
        harmless(box.value)
        assert ":material/" not in box.value
    frame = elements._frame([{"ad_id": value} for value in values], None, [], ["ad_id"])
    assert list(frame["ad_id"]) == [shown(value) for value in values]


class Gone(io.StringIO):
    """Standard output without a reader."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize("trouble", [OSError(5, "Input/output error"), ValueError("closed"), UnicodeError("no sign")])
def test_what_the_console_cannot_print_is_no_fault_of_the_rows(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = SimpleNamespace(columns=["ad"], collect=lambda: [Row(ad="ad-1")])

    class Refusing(io.StringIO):
        def write(self, _text: str) -> int:
            raise trouble

    assert ConfigError in FINAL  # the job does not retry it, and suspects no message
    for out, why in ((Refusing(), type(trouble).__name__), (Gone(), "nobody reads it any more")):
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(ConfigError, match=f"standard output takes no rows: {why}"):
            console_sink.show(frame)  # type: ignore[arg-type]
