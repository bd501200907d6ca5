"""Check that options of `adstream produce` fit together. An option without an effect is an error."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.errors import ConfigError
from producer.events import SOURCES
from producer.source import Source

MIX = ("keys", "skew", "late", "out_of_order", "duplicates", "broken")
TIMING = ("seed", "start", "over")
OF_A_CSV = ("keep_timestamps", "on_bad_row", "delimiter", "extra_columns")
OF_KAFKA = ("topic", "max_queued", "verbose", "acknowledged")


def check(source: Source, given: Mapping[str, Any]) -> None:
    """Check the options that the user has set, `given`.

    Raises ConfigError for the first one without meaning beside the others.
    """
    _refuse(given, ("date",), f"for {source.name}")
    if "sample" in given:
        _refuse(given, ("count", "csv", *OF_A_CSV, *TIMING, *MIX), "with --sample")
    if "csv" in given:
        _refuse(given, (*TIMING, *MIX), "with --csv")
        if source.name != "ads":
            raise ConfigError(f"--csv has no meaning for {source.name}", "leave it out; only ads come out of a CSV")
    else:
        _refuse(given, OF_A_CSV, "without --csv")
    if source.keys is None:
        _refuse(given, ("keys", "skew"), f"for {source.name}, which have a key each")
    if "files" in given:
        _refuse(given, (*OF_KAFKA, "broken"), "with --files")
    _check_format(source, given)


def _check_format(source: Source, given: Mapping[str, Any]) -> None:
    if given.get("format") == "avro" and "files" in given:
        raise ConfigError("--format avro has no meaning with --files", "leave it out; the files hold JSON lines")
    if given.get("format") == "json":
        _refuse(given, ("broken",), "with --format json")
        if not source.json and "files" not in given:
            can = ", ".join(each.name for each in SOURCES.values() if each.json)
            raise ConfigError(f"{source.name} cannot be sent as JSON", f"leave --format out; it is for {can}")


def _refuse(given: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    for name in names:
        if name in given:
            raise ConfigError(f"--{name.replace('_', '-')} has no meaning {why}", "leave it out")
