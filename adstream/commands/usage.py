"""The answer to a mistyped command line: one line with the nearest name, like every other error."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from common.errors import WrongUsage
from common.text.nearest import did_you_mean

USAGE = 2  # Typer's exit code of a mistyped command line
_CHOSEN = "adstream.chosen_command"
# Typer's wording on the left. A message about a wrong value begins "invalid value for '--count': ".
_PLAINER = (
    (r"option '(\S+)' requires an argument", r"\1 needs a value"),
    (r"got unexpected extra argument\(s\) \((.*)\)", r"unexpected argument \1"),
    (r"Value error, ", ""),
    (r"Input should be a valid integer, .*", "give a whole number"),
    (r"Input should be a valid number, .*", "give a number"),
    (r"Input should be a valid integer", "give a whole number"),
    (r"Input should be greater than or equal to (\S+)", r"give \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"give \1 or less"),
)


class Commands(TyperGroup):
    """A group of commands that raises WrongUsage instead of Typer's box; `no_args_is_help` still shows help."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - Typer's contexts are not public
        with _in_one_line({_CHOSEN: command_path(parent, info_name)}):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        with _in_one_line(ctx.meta):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            remedy = did_you_mean(name, self.commands, _help(ctx.command_path))
            raise WrongUsage(f"{ctx.command_path} has no command {name}", remedy)
        # Typer's error about an option without a value does not know its command.
        ctx.meta[_CHOSEN] = f"{ctx.command_path} {name}"
        return super().resolve_command(ctx, args)


@contextmanager
def _in_one_line(meta: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        # A group without a command is not a mistake: it shows its help.
        if error.exit_code != USAGE or type(error).__name__ == "NoArgsIsHelpError":
            raise
        context = getattr(error, "ctx", None)
        raise translated(error, context.command_path if context else meta[_CHOSEN]) from None


def command_path(parent: Any, *names: str | None) -> str:  # noqa: ANN401
    """Return the words of the command line that name a command, for example `adstream dead-letters list`."""
    return " ".join([*([parent.command_path] if parent else []), *filter(None, names)])


def translated(error: typer.TyperException, command: str) -> WrongUsage:
    """Return the one line for a usage error of Typer. `command` is the command line that its `--help` belongs to."""
    context = getattr(error, "ctx", None)
    if hasattr(error, "possibilities") and context is not None:
        option = str(getattr(error, "option_name", ""))
        shown = [parameter for parameter in context.command.params if not getattr(parameter, "hidden", False)]
        known = [name for parameter in shown for name in parameter.opts if name.startswith("-")]
        return WrongUsage(f"{command} has no option {option}", did_you_mean(option, known, _help(command)))
    said = error.format_message().strip().removesuffix(".")
    said = said[:1].lower() + said[1:]
    for pattern, plainer in _PLAINER:
        said = re.sub(pattern, plainer, said)
    return WrongUsage(said, _help(command))


def _help(command: str) -> str:
    return f"see `{command} --help`"
