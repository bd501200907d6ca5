"""`adstream dead-letters list | explain | replay`: list unusable messages, diagnose one, send them again."""

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.commands import completion
from adstream.commands.asking import ask
from adstream.commands.usage import Commands
from common.errors import ConfigError, ReplayRefused
from common.settings import Settings
from common.text.moments import parse_moment
from common.text.nearest import did_you_mean
from common.text.progress_line import Working
from common.text.shown import say

if TYPE_CHECKING:
    from adstream.dead_letters.letters import Letter, Mark, Wanted

app = typer.Typer(
    cls=Commands,
    help="Unusable messages: list them, explain one, send them again.",
    epilog="Example: `adstream dead-letters list`",
    no_args_is_help=True,
)

SHOWN = 20

_Topic = Annotated[str | None, typer.Option(help="Only letters from this topic.", autocompletion=completion.topics)]
_From = Annotated[
    str | None,
    typer.Option("--from", help="Only originals of this broker time or later: ISO 8601, or 2h for two hours ago."),
]
_To = Annotated[str | None, typer.Option("--to", help="Only originals from before this broker time.")]
_PLACE = "Where the message lay: topic/partition/offset, like ads_data/1/4711."


@app.command("list")
def list_(
    topic: _Topic = None,
    reason: Annotated[str | None, typer.Option(help="Only letters with this reason.")] = None,
    start: _From = None,
    end: _To = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help=f"How many letters to show; {SHOWN} by default, with --json all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One strict JSON object per letter, and no counts.")] = False,
) -> None:
    """Count dead letters by reason, and show the newest: each once, however often it was published. Times are UTC.

    Example: `adstream dead-letters list --reason clicks_negative --from 2h`

    Example: `adstream dead-letters list --json | jq -r 'select(.replayed == null).place'`
    """
    from adstream.dead_letters.dead_letter_pages import listing
    from adstream.dead_letters.letters import Marks, read

    settings = Settings()
    wanted = _wanted(topic, reason, start, end)
    with _reading():
        letters = sorted(read(settings, wanted, whole=False).values(), key=lambda each: each.timestamp, reverse=True)
    if not letters and reason is not None:
        _refuse_unknown_reason(settings, reason)
    shown = letters[: limit if limit is not None else None if as_json else SHOWN]
    lines = listing(settings.topic.dead_letters, letters, shown, Marks.read(settings), as_json=as_json)
    try:
        for line in lines:
            say(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough (`| head`). Discard the output that Python would still flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def explain(
    place: Annotated[str, typer.Argument(help=_PLACE)],
    most_bytes: Annotated[int, typer.Option("--bytes", min=0, help="How many bytes of the value to show.")] = 256,
) -> None:
    """Show one dead letter in full, read it again field by field, and say what is wrong and what to do.

    Example: `adstream dead-letters explain ads_data/1/4711`
    """
    from adstream.dead_letters.dead_letter_pages import page
    from adstream.dead_letters.letters import Marks, Wanted, missing, parse_place, read
    from adstream.dead_letters.replay import Checker

    settings = Settings()
    wanted = parse_place(place, settings.topic.ads)
    with _reading():
        letter = read(settings, Wanted(places=frozenset([wanted])), whole=True).get(wanted)
    if letter is None:
        raise missing(wanted, read(settings, Wanted(), whole=False))
    mark = Marks.read(settings).of(letter)
    reader, diagnose = Checker(settings).of(letter)
    found = diagnose(letter.value, letter.headers, int(datetime.now(UTC).timestamp() * 1_000))
    for line in page(letter, found, mark, reader, most_bytes):
        say(line)


@app.command()
def replay(
    places: Annotated[list[str] | None, typer.Argument(help=_PLACE)] = None,
    reason: Annotated[str | None, typer.Option(help="All letters with this reason that the job can use now.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters that the job can use now.")] = False,
    topic: _Topic = None,
    start: _From = None,
    end: _To = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the event: field=value; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print how many letters it would send and which it refuses, and send none."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send dead letters back to their topic, once, if the job can use them now.

    Any other letter is refused with its reason. If you name places, all are sent or none. Exits with 1 if nothing can
    be sent.

    Example: `adstream dead-letters replay ads_data/1/4711 --set clicks=0`

    Example: `adstream dead-letters replay --reason unknown_schema_id --dry-run`
    """
    from adstream.dead_letters.dead_letter_pages import plan_lines
    from adstream.dead_letters.letters import Marks
    from adstream.dead_letters.repair import parse_changes
    from adstream.dead_letters.replay import Checker, plan, send

    settings = Settings()
    if [bool(places), reason is not None, everything].count(True) != 1:
        raise ConfigError("what to replay is not clear", "name places, or give --reason REASON, or --all")
    with _reading():
        letters = _named(settings, places) if places else _found(settings, _wanted(topic, reason, start, end))
    now = datetime.now(UTC)
    decided = plan(letters, Marks.read(settings), Checker(settings), parse_changes(changes or []), now)
    if places:
        _require_all(decided.refused, decided.before)
    for line in plan_lines(decided):
        say(line)
    if not decided.outgoing:
        raise ReplayRefused("none of these can be sent back", "`adstream dead-letters explain PLACE` says why")
    say(f"{'would be' if dry_run else 'to be'} sent to {settings.kafka.where}")
    if dry_run:
        return
    if not yes:
        ask(f"Send {len(decided.outgoing):,} back?", "add --yes, or --dry-run to look first")
    with Working("sending them back"):
        done = send(
            settings,
            decided.outgoing,
            lambda: datetime.now(UTC),
            lambda letter, mark: say(f"{letter.place} -> {mark.to}"),
        )
    say(f"{done:,} sent back, and marked")


def _reading() -> Working:
    return Working("reading the dead letters")


def _wanted(topic: str | None, reason: str | None, start: str | None, end: str | None) -> "Wanted":
    from adstream.dead_letters.letters import Wanted

    now = datetime.now(UTC)
    return Wanted(
        topic,
        reason,
        parse_moment("--from", start, now) if start else None,
        parse_moment("--to", end, now) if end else None,
    )


def _named(settings: Settings, places: list[str]) -> "list[Letter]":
    from adstream.dead_letters.letters import Wanted, missing, parse_place, read

    wanted = dict.fromkeys(parse_place(place, settings.topic.ads) for place in places)
    found = read(settings, Wanted(places=frozenset(wanted)), whole=True)
    for place in wanted:
        if place not in found:
            raise missing(place, read(settings, Wanted(), whole=False))
    return [found[place] for place in wanted]


def _found(settings: Settings, wanted: "Wanted") -> "list[Letter]":
    from adstream.dead_letters.letters import read

    found = sorted(read(settings, wanted, whole=True).values(), key=lambda each: each.place)
    if not found and wanted.reason is not None:
        _refuse_unknown_reason(settings, wanted.reason)
    return found


def _refuse_unknown_reason(settings: Settings, reason: str) -> None:
    from adstream.dead_letters.letters import Wanted, read

    known = Counter(letter.reason for letter in read(settings, Wanted(), whole=False).values())
    if reason not in known:
        there = f"there are {', '.join(sorted(known))}" if known else "there are no dead letters at all"
        raise ConfigError(f"no dead letter has the reason {reason}", did_you_mean(reason, known, there))


def _require_all(refused: "list[tuple[Letter, str]]", before: "list[tuple[Letter, Mark]]") -> None:
    """Raise ReplayRefused for the first named letter that cannot be sent."""
    for letter, mark in before:
        raise ReplayRefused(f"{letter.place} was sent back already, at {mark.at} to {mark.to}", "nothing was sent")
    for letter, why in refused:
        raise ReplayRefused(
            f"{letter.place} cannot be used now either: {why}", f"see `adstream dead-letters explain {letter.place}`"
        )
