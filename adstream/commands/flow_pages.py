"""The drawing of a job (streaming.flow) as text for a terminal or a file, and as Mermaid."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from streaming.flow import Flow, Place, Step

_WIDTH = 100
_BOX_WIDTH = 44
# For where standard output takes no more than ASCII.
IN_ASCII = str.maketrans("│▼├└─▶◀", "|v+`-><")


def as_text(flow: "Flow", width: int = _WIDTH) -> Iterator[str]:
    """Lines in rich's markup, none wider than `width`; without colours they read the same."""
    yield f"[bold]{flow.name}[/bold]: {escape(flow.summary)}"
    yield f"[dim]{flow.command}[/dim]"
    yield ""
    yield f"[bold cyan]{_named(flow.source)}[/bold cyan]"
    yield from _under(flow.source.facts, "│ ", width)
    for step in flow.steps:
        yield from ("│", f"▼ [bold]{step.name}[/bold]")
        yield from _step(step, width)
    yield "│"
    *others, last = flow.sinks
    for place in others:
        yield f"├─▶ [bold cyan]{_named(place)}[/bold cyan]"
        yield from _under(place.facts, "│     ", width)
    yield f"└─▶ [bold cyan]{_named(last)}[/bold cyan]"
    yield from _under(last.facts, "      ", width)


def as_mermaid(flow: "Flow") -> Iterator[str]:
    """A `flowchart LR`, as pages on GitHub draw it; the query's own steps are in one box."""
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
            yield f'    step{number} -- "{what}" --> aside{number}_{nth}'
        if step.reads is not None:
            yield f"    table{number}{_store(step.reads)}"
            yield f"    table{number} -.-> step{number}"


def _step(step: "Step", width: int) -> Iterator[str]:
    yield from _under((*step.facts, *step.details), "│   ", width)
    if step.reads is not None:
        yield f"│◀── [cyan]{_named(step.reads)}[/cyan]"
        yield from _under(step.reads.facts, "│     ", width)
    for what, place in step.aside:
        yield f"├─▶ {what}: [cyan]{_named(place)}[/cyan]"
        yield from _under(place.facts, "│     ", width)


def _under(facts: Iterable[str], indent: str, width: int) -> Iterator[str]:
    for fact in facts:
        lines = wrap(fact, max(width - len(indent), 20), subsequent_indent="  ", break_on_hyphens=False)
        yield from (f"{indent}{escape(line)}" for line in lines)


def _named(place: "Place") -> str:
    kind = {"Kafka": " topic", "Cassandra": " table", "Iceberg": " table"}.get(place.store, ":")
    return f"{place.store}{kind} {escape(place.name)}"


def _store(place: "Place") -> str:
    return f'[("{_box(_named(place), place.facts)}")]'


def _box(title: str, facts: Iterable[str]) -> str:
    lines = [line for fact in facts for line in wrap(fact, _BOX_WIDTH, break_on_hyphens=False)]
    return "<br/>".join(_escaped(line) for line in (title, *lines))


def _escaped(text: str) -> str:
    """Mermaid's own entities for what would end a label or be taken for markup."""
    return re.sub(r"[\"#<>&]", lambda match: f"#{ord(match[0])};", text)
