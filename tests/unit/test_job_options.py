"""The options of `adstream stream JOB`: exactly the options of that job, with their defaults and meanings."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pyspark.sql import DataFrame
from typer.testing import CliRunner

from adstream.cli import app
from common.errors import BadInput, ConfigError
from streaming.job import Job
from streaming.jobs import JOBS, find
from streaming.parameters import parameters_of
from streaming.real_time.suits import refusal

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
OWN = {each.option for job in JOBS.values() for each in job.declared.values()}


def ended(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["stream", *arguments], env={"COLUMNS": "240", "TERM": "dumb"})


def said(*arguments: str) -> str:
    """Return the help, with each run of spaces as one."""
    done = ended(*arguments, "--help")
    assert done.exit_code == 0, done.output
    return re.sub(r"[\s│]+", " ", done.output)


def refused(*arguments: str) -> str:
    failed = ended(*arguments)
    assert isinstance(failed.exception, ConfigError), failed.output
    return str(failed.exception)


def options(*arguments: str) -> set[str]:
    return set(re.findall(r"│ (--[a-z][a-z-]*) ", ended(*arguments, "--help").output))


@every_job
def test_help_shows_each_option_of_the_job_its_default_and_its_meaning(job: Job) -> None:
    shown = said(job.name)
    for each in job.declared.values():
        default = f"[default: {each.name}]" if each.kind is bool else f"[default: {each.default_text}]"
        assert f"{each.meaning} {default}" in shown
    assert job.summary in shown


@every_job
def test_help_shows_no_option_that_does_not_suit_the_job(job: Job) -> None:
    shown = options(job.name)
    assert shown & OWN == {each.option for each in job.declared.values()}
    assert ("--mode" in shown) == (len(job.modes) > 1)
    assert ("--lookup" in shown) == (job.lookup is not None)
    assert ("--console" in shown) == bool(job.sinks)
    assert "--sink" not in shown, "no installed package offers one"
    assert ("--real-time" in shown) == any(not refusal(job.in_mode(mode)) for mode in job.modes)
    assert shown >= {"--trigger", "--once", "--from", "--sample", "--topic", "--files", "--checkpoint"}


def test_help_without_a_job_shows_none_of_a_single_job() -> None:
    assert "--trigger" in options()
    assert not options() & OWN
    assert "`adstream stream JOB --help` shows what one job takes" in said()


@every_job
def test_each_option_reaches_the_job_by_its_type(job: Job) -> None:
    for each in job.declared.values():
        if each.kind is timedelta:
            assert (
                refused(job.name, each.option, "0")
                == f"{each.option} must be longer than nothing; give for example 30s or 5m"
            )
            assert refused(job.name, each.option, "0.5ms").startswith(f"{each.option} must be whole milliseconds; ")
            assert refused(job.name, each.option, "36501d") == f"{each.option} is too long; give 36500d or less"
            assert refused(job.name, each.option, "soon").startswith(f"{each.option} 'soon' is not a duration; ")
        if each.kind is int:
            assert refused(job.name, each.option, "0") == f"{each.option} 0 cannot be used; give 1 or more"
            assert refused(job.name, each.option, str(2**63)).endswith(f" cannot be used; give {2**63 - 1} or less")


@every_job
def test_what_does_not_suit_the_job_is_refused_with_the_reason(job: Job) -> None:
    for name in sorted(OWN - {each.option for each in job.declared.values()}):
        assert refused(job.name, name, "1m").startswith(f"{job.name} has no {name}; ")
    if len(job.modes) == 1:
        other = next(mode for mode in ("append", "update", "complete") if mode not in job.modes)
        assert refused(job.name, "--mode", other).startswith(f"{job.name} does not run in {other} mode")
    if job.lookup is None:
        assert refused(job.name, "--lookup", "any.csv") == f"{job.name} joins no static table; leave --lookup out"
    if refusal(job):
        assert refused(job.name, "--real-time").startswith(f"{job.name} does not run in real-time mode")


@pytest.mark.parametrize(
    "words",
    [
        ("ad-clicks", "--slide", "7s"),
        ("--slide", "7s", "ad-clicks"),
        ("--topic", "logins", "--slide=7s", "ad-clicks"),
        ("--once", "ad-clicks", "--no-dedupe", "--slide", "7s"),
        ("--", "ad-clicks"),
    ],
)
def test_the_job_is_found_wherever_it_stands(words: tuple[str, ...]) -> None:
    if words[0] == "--":
        assert "Run ad-clicks" in said("--help", *words)
    else:
        assert refused(*words).startswith("--window 30s is not a multiple of --slide 7s; ")


@every_job
def test_a_checkpoint_gives_the_job_its_values_back(job: Job) -> None:
    changed = {
        name: {timedelta: timedelta(days=1), int: 7, bool: False}[each.kind]
        for name, each in job.declared.items()
        if name not in ("window", "slide")
    }
    described = json.loads(json.dumps(job.with_parameters(**changed).described()))
    assert job.as_described(described).parameters == job.parameters | changed


def test_the_names_beside_a_checkpoint_stay_as_they_are() -> None:
    assert find("ad-metrics").described() == {
        "job": "ad-metrics", "mode": "update", "window_seconds": 60.0, "slide_seconds": 30.0, "lateness_seconds": 600.0,
        "dedupe": True,
    }  # fmt: skip
    assert find("rack-alerts").described() == {
        "job": "rack-alerts", "mode": "update", "threshold": 100, "readings": 3, "watermark_seconds": 600.0,
    }  # fmt: skip


def test_rows_are_printed_or_written_into_a_sink() -> None:
    assert refused("ad-tail", "--console", "--sink", "lines").startswith("--console prints the rows instead of writing")


def test_a_lookup_that_cannot_be_read_is_an_error_before_any_service_is_asked(tmp_path: Path) -> None:
    failed = ended("fruit-categories", "--lookup", str(tmp_path / "none.csv"))
    assert isinstance(failed.exception, BadInput), failed.output
    assert "none.csv cannot be read" in str(failed.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--files", ".", "--from", "latest"), "--from latest needs a topic, and --files is none; leave --from out"),
        (
            ("--socket", "a:1", "--from", "latest"),
            "--from latest needs a topic, and --socket is none; leave --from out",
        ),
        (("--files-per-batch", "5"), "--files-per-batch needs --files; leave it out, or read the files of a folder"),
        (("--socket", "a:99999"), "--socket a:99999 is not an address; give HOST:PORT"),
        (("--socket", "a:0"), "--socket a:0 is not an address; give HOST:PORT"),
    ],
)
def test_an_option_without_effect_is_refused(words: tuple[str, ...], said: str) -> None:
    assert refused("ad-metrics", *words) == said


def patterned(pattern: Callable[..., DataFrame]) -> Job:
    return Job("own", "of one's own", "logins", pattern)


def test_types_of_ones_own_are_options_too() -> None:
    def pattern(
        events: DataFrame,
        *,
        at_least: Annotated[int, "Fewer are left out."] = 3,
        least: int = 0,
        share: float = 0.5,
        by: Literal["user", "team"] = "user",
        label: str = "all",
        strict: bool = False,
    ) -> DataFrame:
        return events

    job = patterned(pattern)
    declared = job.declared
    assert {each.option: each.default_text for each in declared.values()} == {
        "--at-least": "3", "--least": "0", "--share": "0.5", "--by": "user", "--label": "all", "--strict": "off",
    }  # fmt: skip
    assert declared["at_least"].meaning == "Fewer are left out."
    assert job.with_parameters(least=0, share=0.1, by="team").parameters["by"] == "team"
    for given, wrong in [
        ({"at_least": 0}, "--at-least 0 cannot be used; give 1 or more"),
        ({"least": -1}, "--least -1 cannot be used; give 0 or more"),
        ({"by": "role"}, "--by role cannot be used; give user or team"),
        ({"share": float("nan")}, "--share nan cannot be used; give a finite number"),
    ]:
        with pytest.raises(ConfigError, match=wrong):
            job.with_parameters(**given)


def test_what_cannot_be_an_option_is_one_line() -> None:
    def without_default(events: DataFrame, *, size: int) -> DataFrame:
        return events

    def of_another_type(events: DataFrame, *, sizes: list[int] = [1]) -> DataFrame:  # noqa: B006
        return events

    for pattern, why in [(without_default, "it has no default"), (of_another_type, "its type or its default is")]:
        with pytest.raises(ConfigError, match=f"of {__name__}.*{pattern.__name__} cannot be an option: {why}"):
            parameters_of(pattern)


def test_an_option_of_every_job_cannot_be_one_of_a_pattern() -> None:
    from adstream.commands.job_options import of_job
    from adstream.commands.stream import stream

    def pattern(events: DataFrame, *, topic: str = "a") -> DataFrame:
        return events

    with pytest.raises(ConfigError, match="topic cannot be an option of own: `adstream stream` has one of that name"):
        of_job(stream, patterned(pattern))
