"""The output of `adstream dead-letters`.

A message must not control the terminal: its whole content becomes printable.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from adstream.dead_letters.letters import Letter, Mark, Marks, iso
from common.reasons import remedy
from common.text.hexdump import hexdump
from common.text.shown import shown
from consumer.display import printable, strict, text_or_hex

if TYPE_CHECKING:
    from adstream.dead_letters.diagnosis import Diagnosis, FieldRead
    from adstream.dead_letters.replay import Plan
    from adstream.dead_letters.topic_readers import TopicReader

_REFUSED_SHOWN = 10
_HEADER_CHARS = 200


def listing(
    topic: str, letters: Sequence[Letter], chosen: Sequence[Letter], marks: Marks, *, as_json: bool
) -> Iterator[str]:
    """Yield counts by reason, then the `chosen` letters; as JSON the letters alone."""
    if as_json:
        yield from (json.dumps(_as_json(letter, marks.of(letter)), allow_nan=False) for letter in chosen)
        return
    replayed = Counter(letter.reason for letter in letters if marks.of(letter))
    yield f"{len(letters):,} dead letters in {shown(topic)}, {replayed.total():,} of them replayed"
    if not letters:
        return
    yield ""
    counts = Counter(letter.reason for letter in letters)
    rows = [(reason, f"{count:,}", f"{replayed[reason]:,}") for reason, count in counts.most_common()]
    yield from _columns(("reason", "letters", "replayed"), rows, numbers=(1, 2))
    if not chosen:
        return
    yield ""
    yield f"newest {len(chosen):,}" if len(chosen) < len(letters) else "newest first"
    titles = ("place", "reason", "broker time (UTC)", "schema id", "bytes", "replayed")
    yield from _columns(titles, [_row(letter, marks.of(letter)) for letter in chosen], numbers=(3, 4))


def _row(letter: Letter, mark: Mark | None) -> tuple[str, ...]:
    schema_id = "" if letter.schema_id is None else str(letter.schema_id)
    again = f"{mark.at} to {mark.to}" if mark else "no"
    return str(letter.place), letter.reason, _when(letter.timestamp), schema_id, f"{letter.size:,}", again


def _as_json(letter: Letter, mark: Mark | None) -> dict[str, Any]:
    return {
        "place": str(letter.place),
        **asdict(letter.place),
        "reason": letter.reason,
        "timestamp": iso(letter.timestamp),
        "schema_id": letter.schema_id,
        "size": letter.size,
        "job": letter.job,
        "copies": letter.copies,
        "replayed": asdict(mark) if mark else None,
    }


def page(
    letter: Letter, found: "Diagnosis", mark: Mark | None, reader: "TopicReader", most_bytes: int
) -> Iterator[str]:
    """Yield everything about one letter, as lines."""
    yield from map(shown, _page(letter, found, mark, reader, most_bytes))


def _page(
    letter: Letter, found: "Diagnosis", mark: Mark | None, reader: "TopicReader", most_bytes: int
) -> Iterator[str]:
    copies = f", published {letter.copies} times" if letter.copies > 1 else ""
    facts = {
        "place": str(letter.place),
        "reason": f"{letter.reason} (job {letter.job or 'unknown'}{copies})",
        "broker time": f"{_when(letter.timestamp)} UTC",
        "key": printable(text_or_hex(letter.key)),
    }
    yield from (f"{name:<12} {printable(text)}" for name, text in facts.items())
    for name, content in letter.headers:
        yield f"{'header':<12} {printable(name)} = {printable(text_or_hex(content))[:_HEADER_CHARS]}"
    yield f"{'replayed':<12} {f'{mark.at} to {mark.to}' if mark else 'no'}"
    yield from _reading(letter, found, reader, most_bytes)
    yield f"{'what to do':<12} {printable(advice(letter, found, mark))}"


def reading(letter: Letter, found: "Diagnosis", reader: "TopicReader", most_bytes: int) -> Iterator[str]:
    """Yield the value's bytes, and how far they can be read, as lines."""
    yield from map(shown, _reading(letter, found, reader, most_bytes))


def _reading(letter: Letter, found: "Diagnosis", reader: "TopicReader", most_bytes: int) -> Iterator[str]:
    yield f"{'value':<12} {letter.size:,} bytes"
    yield from (f"  {line}" for line in hexdump(letter.value or b"", most_bytes))
    yield f"{'says':<12} {found.header}"
    yield f"{'tried':<12} {_tried(found, reader)}"
    yield from (f"  {line}" for line in _fields(found, reader))
    yield f"{'error':<12} {_error(letter, found)}"


def advice(letter: Letter, found: "Diagnosis", mark: Mark | None) -> str:
    """Return one sentence with the user's next step."""
    again = f"`adstream dead-letters replay {letter.place}"
    if mark:
        return f"Nothing: it was sent back at {mark.at}, and lies at {mark.to}."
    if found.reason is None:
        return f"It can be used now: {again}`."
    if found.violation is not None:
        field = found.violation.field
        return f"Correct the producer; this event can be sent again repaired: {again} --set {field}=VALUE`."
    if found.spans or found.event is not None:
        bad = next((each.name for each in found.fields if each.error), "FIELD")
        return f"Correct the producer; this event can be sent again with what it lacks: {again} --set {bad}=VALUE`."
    return remedy(found.reason)


def plan_lines(decided: "Plan") -> Iterator[str]:
    """Return lines about the replay: the number of letters and of late ones, and the reason for each refusal."""
    yield from map(shown, _plan_lines(decided))


def _plan_lines(decided: "Plan") -> Iterator[str]:
    topics = Counter(each.letter.place.topic for each in decided.outgoing)
    for topic, count in topics.items():
        yield f"{count:,} can be used now, and go back to {topic}"
    late = [each for each in decided.outgoing if each.late_by is not None]
    if late:
        least = min(each.late_by for each in late if each.late_by is not None)
        yield (
            f"{len(late):,} of them will be late: their event time is older than the job takes, by {_span(least)}"
            f"{' and more' if len(late) > 1 else ''}"
        )
    if decided.before:
        yield f"{len(decided.before):,} were sent back before, and stay where they are"
    for letter, why in decided.refused[:_REFUSED_SHOWN]:
        yield f"refused: {letter.place}: {printable(why)}"
    if len(decided.refused) > _REFUSED_SHOWN:
        yield f"refused: {len(decided.refused) - _REFUSED_SHOWN:,} more"


def _tried(found: "Diagnosis", reader: "TopicReader") -> str:
    if found.writer is None:
        return "nothing: no schema is known for it" if "JSON" not in found.header else f"JSON by {_named(reader)}"
    return printable(f"schema id {found.writer.id}, version {found.writer.version}: {_declared(found.writer.text)}")


def _declared(text: str) -> str:
    """Return the fields of a schema with their types, or the schema itself if it is no record."""
    from common.avro.schema_types import SchemaProblem, from_text, parse

    try:
        kind = parse(from_text(text))
    except SchemaProblem as problem:
        return f"it {problem}"
    return ", ".join(f"{each.name}: {each.type}" for each in kind.fields) or str(kind)


def _named(reader: "TopicReader") -> str:
    return f"{reader.contract.subject} version {reader.contract.version}"


def _fields(found: "Diagnosis", reader: "TopicReader") -> Iterator[str]:
    for each in found.fields:
        yield f"bytes {each.start:>4}-{each.end:<4} {each.name} = {_shown(each, reader)}"
    if found.event is not None and not found.fields:
        yield from (f"{name} = {printable(strict(value))}" for name, value in found.event.items())


def _shown(read: "FieldRead", reader: "TopicReader") -> str:
    if read.error:
        return f"? {printable(read.error)}"
    value = printable(strict(read.value) if not isinstance(read.value, str) else json.dumps(read.value))
    if read.name != reader.contract.time_field or not isinstance(read.value, int):
        return value
    try:
        return f"{value} ({_when(datetime.fromtimestamp(read.value / _units(read), UTC))} UTC)"
    except (ValueError, OverflowError, OSError):
        return f"{value} (beyond the calendar)"


def _units(read: "FieldRead") -> int:
    """Return the units per second of a time field: milliseconds, unless the writer's schema says otherwise."""
    kinds = [] if read.type is None else [read.type, *read.type.parts]
    finer = {"timestamp-micros": 1_000_000, "timestamp-nanos": 1_000_000_000}
    return next((finer[kind.logical] for kind in kinds if kind.logical in finer), 1_000)


def _error(letter: Letter, found: "Diagnosis") -> str:
    if found.reason is None:
        return f"none any more: {letter.reason} when it was read then, and usable now"
    changed = "" if found.reason == letter.reason else f" ({found.reason} today)"
    return f"{printable(found.problem)}{changed}"


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> Iterator[str]:
    """Return lines with columns of full width. They are never broken, because they also go into pipes."""
    table = [titles, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[at]) for row in table) for at in range(len(titles))]
    for row in table:
        cells = (
            f"{' ' * (width - cell_len(cell))}{cell}" if at in numbers else f"{cell}{' ' * (width - cell_len(cell))}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _span(length: timedelta) -> str:
    return str(timedelta(seconds=int(length.total_seconds())))
