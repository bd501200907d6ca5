"""A job: one entry of the catalogue (streaming.jobs), with the parameters that it runs with.

A pattern's keyword arguments are the job's parameters (streaming.parameters). A checkpoint fixes them, because its
state fits only these values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pyspark.sql import DataFrame

from common.errors import ConfigError
from streaming.parameters import Parameter, Value, parameters_of, require_known, value_text
from streaming.patterns.arguments import MOST_SLIDES
from streaming.patterns.keyed_state import KeyRules
from streaming.sinks.sink import Sink

Mode = Literal["append", "update", "complete"]


@dataclass(frozen=True)
class Lookup:
    """A static table that a job joins with its events: a CSV with a header, and its columns as Spark's DDL."""

    path: Path
    columns: str


@dataclass(frozen=True)
class Job:
    """One streaming job: events of a topic -> `pattern` -> `sinks`. Without sinks the job prints its rows.

    `summary` is its line in `adstream jobs`. `contract` names the topic's contract, `key` the key columns of a row, and
    `modes` the possible output modes, the default first. `trigger` is the time between two batches. With `json` a
    message may also be JSON. `lookup` is a static table, the pattern's second input. A job with state of its own
    (transformWithState) names its rules as `state`. `slack` is the time that its watermark adds to its lateness.
    `concerns` is a condition, in SQL, for the events that the pattern uses; other events cannot be late for it.
    `recounted` says that `adstream verify` and `adstream backfill` can compute the job's tables a second time.
    `changed` has the parameters that differ from the pattern's defaults.
    """

    name: str
    summary: str
    contract: str
    pattern: Callable[..., DataFrame]
    key: tuple[str, ...] = ()
    sinks: tuple[Sink, ...] = ()
    modes: tuple[Mode, ...] = ("update",)
    trigger: timedelta = timedelta(seconds=3)
    json: bool = False
    state: type[KeyRules[Any]] | None = None
    lookup: Lookup | None = None
    concerns: str = "true"
    recounted: bool = False
    slack: timedelta = timedelta(0)
    changed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError for a pattern with an argument that cannot be an option."""
        _ = self.declared

    @property
    def output_mode(self) -> Mode:
        return self.modes[0]

    @property
    def arbitrary_state(self) -> bool:
        return self.state is not None

    @cached_property
    def declared(self) -> dict[str, Parameter]:
        """The parameters in the pattern's signature, by name, in its order."""
        return parameters_of(self.pattern)

    @property
    def parameters(self) -> dict[str, Value]:
        """Name -> value, in the order of the pattern's arguments."""
        return {name: each.default for name, each in self.declared.items()} | dict(self.changed)

    @property
    def lateness(self) -> timedelta | None:
        """How late an event may arrive and still count, if the job decides that per event (streaming.events.judge)."""
        found = self.parameters.get("lateness")
        return found if isinstance(found, timedelta) else None

    @property
    def watermark(self) -> timedelta | None:
        """The distance of Spark's watermark from the newest event time; None if the job has none."""
        if self.lateness is not None:
            return self.lateness + self.slack
        found = self.parameters.get("watermark")
        return found if isinstance(found, timedelta) else None

    @property
    def late_option(self) -> str:
        """The parameter that sets how long the job waits for late events."""
        return "watermark" if self.lateness is None else "lateness"

    def with_parameters(self, **given: Value) -> "Job":
        """Return the same job with other parameters. Raises ConfigError for an unknown or invalid one."""
        return self._with(given, most_slides=MOST_SLIDES)

    def with_sinks(self, *more: Sink) -> "Job":
        """Return the same job with more sinks for its rows."""
        return replace(self, sinks=(*self.sinks, *more)) if more else self

    def in_mode(self, mode: str) -> "Job":
        """Return the same job in another output mode. Raises ConfigError if the job does not support it."""
        chosen = [each for each in self.modes if each == mode]
        if not chosen:
            raise ConfigError(f"{self.name} does not run in {mode} mode", f"it runs in {' or '.join(self.modes)}")
        return replace(self, modes=(chosen[0],))

    def compute(self, *frames: DataFrame) -> DataFrame:
        """Return the pattern's rows for the events (and the lookup table, if the job has one)."""
        return self.pattern(*frames, **self.parameters)

    def described(self) -> dict[str, Any]:
        """Return the description recorded beside a checkpoint.

        No job with another description continues the checkpoint.
        """
        values = {
            f"{name}_seconds" if isinstance(value, timedelta) else name: (
                value.total_seconds() if isinstance(value, timedelta) else value
            )
            for name, value in self.parameters.items()
        }
        return {"job": self.name, "mode": self.output_mode, **values}

    def as_described(self, made_with: Mapping[str, Any]) -> "Job":
        """Return the same job with the parameters of a checkpoint, which an earlier release may have made."""
        found = {
            name: timedelta(seconds=made_with[f"{name}_seconds"]) if isinstance(value, timedelta) else made_with[name]
            for name, value in self.parameters.items()
        }
        return self._with(found, most_slides=None)

    def _with(self, given: Mapping[str, Value], most_slides: int | None) -> "Job":
        require_known(self.name, given, self.declared)
        for name, value in given.items():
            self.declared[name].require(value)
        changed = replace(self, changed={**self.changed, **given})
        changed._check_windows(most_slides)
        return changed

    def _check_windows(self, most_slides: int | None) -> None:
        window, slide = self.parameters.get("window"), self.parameters.get("slide")
        if not isinstance(window, timedelta) or not isinstance(slide, timedelta):
            return
        if slide > window or window % slide:
            raise ConfigError(
                f"--window {value_text(window)} is not a multiple of --slide {value_text(slide)}",
                "give a window of 1, 2, 3, ... slides",
            )
        if most_slides is not None and window // slide > most_slides:
            raise ConfigError(
                f"--window {value_text(window)} with --slide {value_text(slide)} puts each event into"
                f" {window // slide:,} windows",
                f"give a window of {most_slides} slides or less",
            )
