"""The options of `adstream stream JOB`: the common ones of all jobs, and the job's own, from its pattern.

A command made for the job reads a command line that names the job. So `adstream stream JOB --help` shows only the
options that the job takes. An option that does not suit the job stays hidden: if somebody types it, the answer is the
reason.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from typer.core import TyperCommand, TyperOption

from adstream.commands import completion
from adstream.commands.usage import USAGE, command_path, translated
from common import extensions
from common.errors import ConfigError
from common.text.durations import duration_text, parse_duration
from stack.real_time import enter_if_made

if TYPE_CHECKING:
    from streaming.job import Job
    from streaming.parameters import Parameter

_OWN = "adstream.own_options"
_TYPED = "COMMANDLINE"


def own_options(context: typer.Context) -> dict[str, Any]:
    """Return the values of the job's own options that were typed, by the pattern's names."""
    found: dict[str, Any] = context.meta.get(_OWN, {})
    return found


class JobCommand(TyperCommand):
    """`adstream stream`, which becomes the command of the job that its arguments name."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401 - Typer's contexts are not public
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        named = list(self._positional(args))
        if not named:
            return super().make_context(info_name, args, parent, **extra)
        if extra.get("resilient_parsing"):
            return TyperCommand.make_context(self._completing(named), info_name, args, parent, **extra)
        if "--real-time" in args:
            enter_if_made()
        job = _chosen(named)
        try:
            return TyperCommand.make_context(of_job(self.callback, job), info_name, args, parent, **extra)
        except typer.TyperException as error:
            _refuse_option_of_another_job(job, error)
            if error.exit_code != USAGE:
                raise
            raise translated(error, command_path(parent, info_name, job.name)) from None

    def _completing(self, named: list[str]) -> TyperCommand:
        """Return the command for the shell's completion. Reads the job's options without Spark."""
        known = ((word, completion.own_options(word)) for word in named)
        found = next(((word, flags) for word, flags in known if flags is not None), None)
        if found is None:
            return self
        job, flags = found
        own = {name: _argument(name, bool if flag else str, typer.Option(), None) for name, flag in flags.items()}
        return _command(self.callback, _About(job, own=own))

    def _positional(self, args: Iterable[str]) -> Iterator[str]:
        """Return the words that are neither an option of this command nor an option's value."""
        takes_value = {
            option: not getattr(parameter, "is_flag", False) for parameter in self.params for option in parameter.opts
        }
        words = iter(args)
        for word in words:
            if word == "--":
                yield from words
            elif not word.startswith("-"):
                yield word
            elif takes_value.get(word):
                next(words, None)


@dataclass(frozen=True)
class _About:
    """The properties of one job's command: its help, its own options, and changes to the options of every job."""

    job: str
    help: str = ""
    own: Mapping[str, inspect.Parameter] = field(default_factory=dict)
    durations: frozenset[str] = frozenset()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _chosen(named: list[str]) -> "Job":
    """Return the job. Raises ConfigError if none of the words is a job."""
    from streaming.jobs import JOBS, find

    return find(next((word for word in named if word in JOBS), named[0]))


def of_job(stream: Callable[..., Any] | None, job: "Job") -> TyperCommand:
    """Return the command that reads the options of one job. `stream` runs it, and has the options of every job."""
    return _command(stream, _about(job))


def options_of(command: TyperCommand) -> list[TyperOption]:
    """Return the options that only some jobs have and that suit the command's job."""
    return [
        each for each in command.params if isinstance(each, TyperOption) and each.rich_help_panel and not each.hidden
    ]


def _about(job: "Job") -> _About:
    from streaming.real_time.suits import TRIGGER, refusal

    panel = f"Options of {job.name}, which stay as they are once its checkpoint exists"
    in_real_time = any(not refusal(job.in_mode(mode)) for mode in job.modes)
    changes: dict[str, dict[str, Any]] = {
        "trigger": {"show_default": _trigger(job, TRIGGER if in_real_time else None)},
        "console": {"hidden": not job.sinks},
        "mode": {
            "hidden": len(job.modes) == 1,
            "help": f"Output mode: {' or '.join(job.modes)}.",
            "show_default": job.output_mode,
            "rich_help_panel": panel,
        },
        "lookup": {"hidden": job.lookup is None},
        "sink": {"hidden": not extensions.offered(extensions.SINKS)},
        "real_time": {"hidden": not in_real_time, "rich_help_panel": panel},
    }
    if job.lookup is not None:
        changes["lookup"] |= {
            "help": "CSV to join with.", "show_default": job.lookup.path.name, "rich_help_panel": panel
        }  # fmt: skip
    own = {name: _option(each, panel) for name, each in job.declared.items()}
    durations = frozenset(name for name, each in job.declared.items() if each.kind is timedelta)
    first = next(iter(job.declared.values()), None)
    typed = "" if first is None or first.kind is bool else f" {first.option} {first.default_text}"
    help_text = (
        f"Run {job.name}: {_literal(job.summary)}.\n\nCtrl-C and SIGTERM stop it after the running batch; started again"
        f" it goes on.\n\nExample: `adstream stream {job.name}{typed}`"
    )
    return _About(job.name, help_text, own, durations, changes)


def _trigger(job: "Job", in_real_time: timedelta | None) -> str:
    usual = duration_text(job.trigger)
    return usual if in_real_time is None else f"{usual}; {duration_text(in_real_time)} with --real-time"


def _option(parameter: "Parameter", panel: str) -> inspect.Parameter:
    """Return the pattern's argument as an option of Typer.

    The user types a duration as text, and `parse_duration` reads it.
    """
    kind: Any = parameter.kind
    if parameter.choices:
        kind = Literal[parameter.choices]
    is_duration = kind is timedelta
    info = typer.Option(
        help=_literal(parameter.meaning), metavar="DURATION" if is_duration else None, rich_help_panel=panel
    )
    default = parameter.default_text if is_duration else parameter.default
    return _argument(parameter.name, str if is_duration else kind, info, default)


def _literal(text: str) -> str:
    """Escape brackets in a help text: Rich would take them for markup."""
    return text.replace("[", r"\[")


def _argument(name: str, kind: Any, info: Any, default: Any) -> inspect.Parameter:  # noqa: ANN401
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, info]
    )


def _changed(annotation: Any, changes: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return an argument's annotation, with changes to its settings for Typer."""
    if not changes:
        return annotation
    kind, info = get_args(annotation)
    info = copy(info)
    for name, value in changes.items():
        setattr(info, name, value)
    return Annotated[kind, info]


def _command(common: Callable[..., Any] | None, about: _About) -> TyperCommand:
    assert common is not None  # noqa: S101 - for the type checker
    common = inspect.unwrap(common)
    shared = {
        name: each.replace(annotation=_changed(each.annotation, about.changes.get(name, {})))
        for name, each in inspect.signature(common, eval_str=True).parameters.items()
    }
    if taken := sorted(about.own.keys() & {*shared, "help"}):
        raise ConfigError(
            f"{taken[0]} cannot be an option of {about.job}: `adstream stream` has one of that name",
            f"give the argument of its pattern another name than {taken[0]}",
        )

    def run(**given: Any) -> None:  # noqa: ANN401
        from streaming.parameters import option

        context: typer.Context = given["context"]
        context.meta[_OWN] = {
            name: parse_duration(given[name], option(name)) if name in about.durations else given[name]
            for name in about.own
            if getattr(context.get_parameter_source(name), "name", "") == _TYPED
        }
        common(**{name: value for name, value in given.items() if name not in about.own})

    first = {name: shared.pop(name) for name in ("context", "job")}
    run.__signature__ = inspect.Signature([*first.values(), *about.own.values(), *shared.values()])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command("stream", help=about.help)(run)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)  # noqa: S101 - for the type checker
    return command


def _refuse_option_of_another_job(job: "Job", error: Exception) -> None:
    """Raise ConfigError if the unknown option is an option of another job."""
    from streaming.jobs import JOBS
    from streaming.parameters import require_known

    typed = str(getattr(error, "option_name", ""))
    name = typed.removeprefix("--").removeprefix("no-").replace("-", "_")
    if hasattr(error, "possibilities") and any(name in each.declared for each in JOBS.values()):
        require_known(job.name, [name], job.declared)
