"""`adstream schema register | check`: the contracts of `schemas/` and the registry."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adstream.commands import completion
from adstream.commands.usage import Commands
from common.errors import BadInput, ConfigError, SchemaIncompatible
from common.settings import Settings
from common.text.shown import say

if TYPE_CHECKING:
    from common.registry import Registered

_REMEDY = "give added fields a default, and keep the names and types of the others"

app = typer.Typer(
    cls=Commands,
    help="The contracts in schemas/ and the schema registry.",
    epilog="Example: `adstream schema register`",
    no_args_is_help=True,
)


@app.command()
def register(
    name: Annotated[
        str | None, typer.Argument(help="The contract of --file, like ads_data.", autocompletion=completion.contracts)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Register this .avsc as the next version, instead of the files in schemas/.")
    ] = None,
) -> None:
    """Register every version in schemas/, oldest first, and create missing topics. Safe to repeat.

    An already registered schema keeps its version and id, even if white space, order of keys or documentation differ.
    Version numbers are the registry's.

    Example: `adstream schema register`

    Example: `adstream schema register ads_data --file my-draft.avsc`
    """
    from common.provision import prepare

    if name is not None or file is not None:
        _register_draft(name, file)
        return
    settings = Settings()
    say(f"topics in {settings.kafka.where}")
    say(f"schemas in {settings.registry.where}")
    prepared = prepare(settings)
    for topic in prepared.new_topics:
        say(f"topic {topic} created")
    _tell(prepared.schemas, prepared.warnings)


@app.command()
def check(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The contract, like ads_data. With --offline the default is all.", autocompletion=completion.contracts
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Check this .avsc as the next version, instead of the newest in schemas/.")
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Ask no registry: compare every version in schemas/ with all versions before it."
        ),
    ] = False,
) -> None:
    """Say whether the newest version of a contract may be registered; exit with 1 if not.

    Example: `adstream schema check ads_data --file my-draft.avsc`

    Example, for CI: `adstream schema check --offline`
    """
    from common import contracts
    from common.contracts import Contract
    from common.provision import topic_of
    from common.registry import RegistryClient

    if name is None and (file is not None or not offline):
        raise ConfigError("which contract is not clear", "name it, like ads_data; or check all with --offline")
    draft = None if file is None else _text(file)
    if offline:
        _check_offline(contracts.names() if name is None else [name], draft)
        return
    settings = Settings()
    subject = f"{topic_of(settings, name or '')}-value"
    text = contracts.latest(name or "").text if draft is None else draft
    problems = RegistryClient(settings.registry).compatible(Contract(subject, 0, text))
    if problems:
        raise SchemaIncompatible(f"{subject}: {'; '.join(problems)}", _REMEDY)
    say(f"{subject}: may be registered")
    _warn(name or "", text)


def _register_draft(name: str | None, file: Path | None) -> None:
    from common.contracts import Contract
    from common.provision import topic_of
    from common.registry import RegistryClient

    if name is None or file is None:
        raise ConfigError("a draft is registered by name and file", "give both, like ads_data --file my-draft.avsc")
    settings = Settings()
    subject = f"{topic_of(settings, name)}-value"
    say(f"schemas in {settings.registry.where}")
    registry = RegistryClient(settings.registry)
    text = _text(file)
    found = registry.put(Contract(subject, 0, text), documentation=False)
    _tell([found], registry.warnings)
    _warn(name, text)


def _tell(schemas: "Iterable[Registered]", warnings: Iterable[str]) -> None:
    for found in schemas:
        say(f"{found.subject} version {found.version} has id {found.id}")
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def _warn(name: str, draft: str) -> None:
    """Warn if jobs cannot read the draft's messages. BACKWARD only asks whether the draft reads older messages."""
    from common import contracts
    from common.avro.writer_schemas import Refusal, resolution

    contract = contracts.latest(name)
    found = resolution(draft, contract)
    if isinstance(found, Refusal):
        say(
            f"warning: jobs read by {contract.subject} version {contract.version}, and {found.problem}: "
            f"its messages become dead letters ({found.reason}) until the jobs read by the new version"
        )


def _check_offline(names: list[str], draft: str | None) -> None:
    from common import contracts
    from common.contracts import Contract
    from common.registry.schema_history import problems

    failed = []
    for name in names:
        history = contracts.history(name)
        if draft is not None:
            history.append(Contract(history[-1].subject, history[-1].version + 1, draft))
        found = problems(history)
        versions = f"{len(history)} version{'s' if len(history) > 1 else ''}"
        say(f"{name}: {versions}, {'each can read all before it' if not found else 'not compatible'}")
        failed += [f"{name}: {problem}" for problem in found]
        if draft is not None and not found:
            _warn(name, draft)
    for problem in failed:
        say(f"  {problem}")
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise SchemaIncompatible(f"{failed[0]}{more}", "correct it" if "no Avro schema" in failed[0] else _REMEDY)


def _text(file: Path) -> str:
    """Return the draft in the file. Raises BadInput unless it is an Avro schema."""
    from common.registry.schema_history import invalid

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{file} cannot be read", "check the path given to --file") from None
    if problem := invalid(text):
        raise BadInput(f"{file} is {problem}", "correct the file")
    return text
