"""The drawing of a job (streaming.flow) as text for a terminal or a file, and as Mermaid."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.text import Text

from common.text.shown import shown
from common.text.terminal import parts, plain

if TYPE_CHECKING:
    from streaming.flow import Flow, Place, Step

_WIDTH = 100
_BOX_WIDTH = 44
_IN_ASCII = str.maketrans("│▼├└─▶◀", "|v+`-><")


def as_text(flow: "Flow", width: int = _WIDTH) -> Iterator[Text]:
    """Yield lines with their colours, none wider than `width`. Without colours they read the same."""
    yield parts((flow.name, "bold"), f": {flow.summary}")
    yield plain(flow.command, "dim")
    yield plain("")
    yield plain(_named(flow.source), "bold cyan")
    yield from _under(flow.source.facts, "│ ", width)
    for step in flow.steps:
        yield from (plain("│"), parts("▼ ", (step.name, "bold")))
        yield from _step(step, width)
    yield plain("│")
    *others, last = flow.sinks
    for place in others:
        yield parts("├─▶ ", (_named(place), "bold cyan"))
        yield from _under(place.facts, "│     ", width)
    yield parts("└─▶ ", (_named(last), "bold cyan"))
    yield from _under(last.facts, "      ", width)


def as_mermaid(flow: "Flow") -> Iterator[str]:
    """Return a `flowchart LR`, as pages on GitHub draw it. The query's own steps are in one box."""
    yield "flowchart LR"
    yield f"    source{_store(flow.source)}"
    yield f'    subgraph query ["{_escaped(flow.command)}"]'
    for number, step in enumerate(flow.steps):
        yield f'        step{number}["{_box(step.name, step.facts)}"]'
    yield "    end"
    names = ["source", *(f"step{number}" for number in range(len(flow.steps)))]
    yield from (f"    {one} --> {other}" for one, other in pairwise(names))
    for number, place in enumerate(flow.sinks):
        yield f"    sink{number}{_store(place)}"
        yield f"    {names[-1]} --> sink{number}"
    for number, step in enumerate(flow.steps):
        for nth, (what, place) in enumerate(step.aside):
            yield f"    aside{number}_{nth}{_store(place)}"
            yield f'    step{number} -- "{_escaped(what)}" --> aside{number}_{nth}'
        if step.reads is not None:
            yield f"    table{number}{_store(step.reads)}"
            yield f"    table{number} -.-> step{number}"


def in_ascii(line: Text) -> Text:
    """Return the line for an output that takes only ASCII; its colours stay."""
    return Text(line.plain.translate(_IN_ASCII), style=line.style, spans=line.spans)


def _step(step: "Step", width: int) -> Iterator[Text]:
    yield from _under((*step.facts, *step.details), "│   ", width)
    if step.reads is not None:
        yield parts("│◀── ", (_named(step.reads), "cyan"))
        yield from _under(step.reads.facts, "│     ", width)
    for what, place in step.aside:
        yield parts(f"├─▶ {what}: ", (_named(place), "cyan"))
        yield from _under(place.facts, "│     ", width)


def _under(facts: Iterable[str], indent: str, width: int) -> Iterator[Text]:
    for fact in facts:
        lines = wrap(shown(fact), max(width - len(indent), 20), subsequent_indent="  ", break_on_hyphens=False)
        yield from (plain(f"{indent}{line}") for line in lines)


def _named(place: "Place") -> str:
    kind = {"Kafka": " topic", "Cassandra": " table", "Iceberg": " table"}.get(place.store, ":")
    return f"{place.store}{kind} {place.name}"


def _store(place: "Place") -> str:
    return f'[("{_box(_named(place), place.facts)}")]'


def _box(title: str, facts: Iterable[str]) -> str:
    lines = [line for fact in facts for line in wrap(shown(fact), _BOX_WIDTH, break_on_hyphens=False)]
    return "<br/>".join(_escaped(line) for line in (title, *lines))


def _escaped(text: str) -> str:
    """Replace characters that end a Mermaid label, or count as markup, by Mermaid's own entities."""
    return re.sub(r"[\"#<>&]", lambda match: f"#{ord(match[0])};", shown(text))
