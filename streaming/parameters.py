"""A job's parameters: the keyword arguments of its pattern, by name, type, default and meaning.

Each parameter is an option of `adstream stream JOB`. The pattern's signature alone defines the options. `at_least: int
= 3` becomes the option `--at-least`, and `Annotated[int, "..."]` holds the text of its help.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from common.errors import ConfigError
from common.text.durations import duration_text
from common.text.nearest import did_you_mean

Value = timedelta | int | float | bool | str
_KINDS = (timedelta, bool, int, float, str)
# Spark's bigint, and a hundred years: a length far beyond that overflows Spark's timestamps.
_MOST = 2**63 - 1
_LONGEST = timedelta(days=36_500)
_SAID = "timedelta, int, float, bool, str or a Literal of texts"


@dataclass(frozen=True)
class Parameter:
    """One keyword argument of a pattern. `kind` is its type; `choices` are the texts of a Literal."""

    name: str
    kind: type
    default: Value
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        return option(self.name)

    @property
    def default_text(self) -> str:
        """The default as somebody types it."""
        return value_text(self.default)

    def require(self, value: Value) -> None:
        """Raise ConfigError for a value that no pattern can use."""
        if isinstance(value, timedelta):
            self._require_length(value)
        if self.kind is int and isinstance(value, int) and isinstance(self.default, int):
            least = min(1, self.default)
            if value < least:
                raise ConfigError(f"{self.option} {value} cannot be used", f"give {least} or more")
            if value > _MOST:
                raise ConfigError(f"{self.option} {value} cannot be used", f"give {_MOST} or less")
        if isinstance(value, float) and not isfinite(value):
            raise ConfigError(f"{self.option} {value} cannot be used", "give a finite number")
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.option} {value} cannot be used", f"give {' or '.join(self.choices)}")

    def _require_length(self, value: timedelta) -> None:
        if value <= timedelta(0):
            raise ConfigError(f"{self.option} must be longer than nothing", "give for example 30s or 5m")
        if value % timedelta(milliseconds=1):
            raise ConfigError(f"{self.option} must be whole milliseconds", "give for example 500ms or 5m")
        if value > _LONGEST:
            raise ConfigError(f"{self.option} is too long", f"give {value_text(_LONGEST)} or less")


def option(name: str) -> str:
    """Return the option that sets the parameter of this name."""
    return f"--{name.replace('_', '-')}"


def value_text(value: Value) -> str:
    """Return a value as somebody types it: `5m`, `100`, `on`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return duration_text(value) if isinstance(value, timedelta) else str(value)


def parameters_of(pattern: Callable[..., Any]) -> dict[str, Parameter]:
    """Return the pattern's keyword arguments, in order. Raises ConfigError if one of them cannot be an option."""
    hints = get_type_hints(pattern, include_extras=True)
    return {
        argument.name: _parameter(pattern, argument, hints.get(argument.name))
        for argument in inspect.signature(pattern).parameters.values()
        if argument.kind is argument.KEYWORD_ONLY
    }


def require_known(job: str, given: Iterable[str], known: Mapping[str, Parameter]) -> None:
    """Raise ConfigError for the first name that is no parameter of the job."""
    options = [each.option for each in known.values()]
    for name in given:
        if name not in known:
            has = f"it has {', '.join(options)}" if options else "it has no options of its own"
            raise ConfigError(f"{job} has no {option(name)}", did_you_mean(option(name), options, has))


def _parameter(pattern: Callable[..., Any], argument: inspect.Parameter, annotated: Any) -> Parameter:  # noqa: ANN401
    where = f"{argument.name} of {pattern.__module__}.{pattern.__qualname__} cannot be an option"
    if argument.default is argument.empty:
        raise ConfigError(f"{where}: it has no default", f"give it one: {_SAID}")
    kind, meaning = annotated or type(argument.default), ""
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        meaning = next((note for note in notes if isinstance(note, str)), "")
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    kind = str if choices and all(isinstance(each, str) for each in choices) else kind
    if kind not in _KINDS or not isinstance(argument.default, (int, float) if kind is float else kind):
        raise ConfigError(f"{where}: its type or its default is of another kind", f"make it {_SAID}")
    return Parameter(argument.name, kind, argument.default, meaning, choices)
