"""The answer to a mistyped command line: one line with the nearest name, like every other error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from common.errors import WrongUsage
from common.text.nearest import did_you_mean

_USAGE = 2


class Commands(TyperGroup):
    """A group of commands that raises WrongUsage instead of Typer's box; `no_args_is_help` still shows help."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Typer's contexts are not public
        with _in_one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        with _in_one_line():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            remedy = did_you_mean(name, self.commands, _help(ctx))
            raise WrongUsage(f"{ctx.command_path} has no command {name}", remedy)
        return super().resolve_command(ctx, args)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        # A group without a command is not a mistake: it shows its help.
        if error.exit_code != _USAGE or type(error).__name__ == "NoArgsIsHelpError":
            raise
        raise _translated(error) from None


def _translated(error: typer.TyperException) -> WrongUsage:
    context = getattr(error, "ctx", None)
    if hasattr(error, "possibilities") and context is not None:
        option = str(getattr(error, "option_name", ""))
        known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
        return WrongUsage(f"{context.command_path} has no option {option}", did_you_mean(option, known, _help(context)))
    said = error.format_message().strip().removesuffix(".").replace("Value error, ", "")
    return WrongUsage(said[:1].lower() + said[1:], _help(context))


def _help(context: Any) -> str:  # noqa: ANN401
    return f"see `{context.command_path if context else 'adstream'} --help`"
