"""The answer to a mistyped command line is one line that names the nearest valid word."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from adstream.cli import app, main
from common.errors import WrongUsage
from streaming.iceberg.daily_jobs import BATCH_JOBS
from streaming.jobs import JOBS

USAGE, REFUSED = 2, 1


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("stat", USAGE, "adstream has no command stat; did you mean status?"),
        ("produse ads", USAGE, "adstream has no command produse; did you mean produce?"),
        ("xyzzy", USAGE, "adstream has no command xyzzy; see `adstream --help`"),
        ("dead-letters lst", USAGE, "adstream dead-letters has no command lst; did you mean list?"),
        ("schema chek", USAGE, "adstream schema has no command chek; did you mean check?"),
        ("--env-fil x status", USAGE, "adstream has no option --env-fil; did you mean --env-file?"),
        (
            "stream ad-metrics --triger 3s",
            USAGE,
            "adstream stream ad-metrics has no option --triger; did you mean --trigger?",
        ),
        # --mode is near, but ad-tail runs in one mode alone.
        (
            "stream ad-tail --mood x",
            USAGE,
            "adstream stream ad-tail has no option --mood; see `adstream stream ad-tail --help`",
        ),
        ("dead-letters list --tpic x", USAGE, "adstream dead-letters list has no option --tpic; did you mean --topic?"),
        ("jobs -x", USAGE, "adstream jobs has no option -x; see `adstream jobs --help`"),
        ("stream", USAGE, "missing argument 'job'; see `adstream stream --help`"),
        ("stream ad-metrics --window", USAGE, "--window needs a value; see `adstream stream ad-metrics --help`"),
        ("stream --trigger", USAGE, "--trigger needs a value; see `adstream stream --help`"),
        ("dead-letters list --topic", USAGE, "--topic needs a value; see `adstream dead-letters list --help`"),
        ("consume ads_data --count", USAGE, "--count needs a value; see `adstream consume --help`"),
        ("--env-file", USAGE, "--env-file needs a value; see `adstream --help`"),
        ("show a b", USAGE, "unexpected argument b; see `adstream show --help`"),
        ("stream ad-metrics b", USAGE, "unexpected argument b; see `adstream stream ad-metrics --help`"),
        (
            "consume ads_data --count many",
            USAGE,
            "invalid value for '--count': give a whole number; see `adstream consume --help`",
        ),
        (
            "consume a --count 1.5",
            USAGE,
            "invalid value for '--count': give a whole number; see `adstream consume --help`",
        ),
        ("consume a --count 0", USAGE, "invalid value for '--count': give 1 or more; see `adstream consume --help`"),
        ("produce ads --late 2", USAGE, "invalid value for '--late': give 1 or less; see `adstream produce --help`"),
        ("produce ads --rate fast", USAGE, "invalid value for '--rate': give a number; see `adstream produce --help`"),
        (
            "stream rack-alerts --readings few",
            USAGE,
            "invalid value for '--readings': give a whole number; see `adstream stream rack-alerts --help`",
        ),
        (
            "explain ad-metrics --format svg",
            USAGE,
            "invalid value for '--format': 'svg' is not one of 'text', 'mermaid'; see `adstream explain --help`",
        ),
        (
            "stream ad-clicks --window soon",
            REFUSED,
            "--window 'soon' is not a duration; write it like 30s, 1 minute or 2h",
        ),
        (
            "stream ad-clicks --trigger soon",
            REFUSED,
            "--trigger 'soon' is not a duration; write it like 30s, 1 minute or 2h",
        ),
        (
            "produce ads --count 1 --over soon",
            REFUSED,
            "--over 'soon' is not a duration; write it like 30s, 1 minute or 2h",
        ),
        ("stream ad-metric", REFUSED, "there is no job ad-metric; did you mean ad-metrics?"),
        ("stream daily-sales", REFUSED, "daily-sales does not stream; run it with `adstream batch daily-sales`"),
        ("batch daily-sale", REFUSED, "there is no batch job daily-sale; did you mean daily-sales?"),
        ("show user-click", REFUSED, "there is no job user-click to show; did you mean user-clicks?"),
        ("show ad-metric --late", REFUSED, "there is no job ad-metric; did you mean ad-metrics?"),
        ("reset user-click", REFUSED, "there is no job user-click; did you mean user-clicks?"),
        ("verify ad-metric", REFUSED, "there is nothing to verify for ad-metric; did you mean ad-metrics?"),
        ("verify logins", REFUSED, "there is nothing to verify for logins; use `adstream verify ad-metrics`"),
        ("backfill ad-metric --from 2h", REFUSED, "there is no backfill for ad-metric; did you mean ad-metrics?"),
        ("validate daily-sale", REFUSED, "there is nothing to validate for daily-sale; did you mean daily-sales?"),
        ("produce ad", REFUSED, "there is nothing called ad to produce; did you mean ads?"),
    ],
)
def test_a_typo_is_answered_in_one_line(
    typed: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["adstream", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"error: {said}\n")
    assert ended.value.code == code


@pytest.mark.parametrize("group", [[], ["dead-letters"], ["schema"]])
def test_a_group_without_a_command_still_shows_its_help(group: list[str]) -> None:
    done = CliRunner().invoke(app, group)
    assert not isinstance(done.exception, WrongUsage)
    assert "Usage: adstream" in done.output
    assert "Commands" in done.output


def test_no_name_is_a_job_and_a_batch_job() -> None:
    assert not JOBS.keys() & BATCH_JOBS.keys()


WITHOUT_LIBEV = """
import sys
sys.modules |= {"cassandra.io.libevwrapper": None, "asyncore": None}  # Python has no asyncore from 3.12 on
from adstream.cli import main
main()
"""


@pytest.mark.parametrize("command", ["jobs", "status", "doctor", "migrate"])
def test_a_cassandra_driver_without_its_event_loop_is_one_line(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBEV, command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "error: the Cassandra driver has no libev, its event loop;"
        " install the locked wheel: delete .venv and run `make setup`\n"
    )
