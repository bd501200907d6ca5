"""`schema check --offline`: which next versions of a contract can read older messages."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adstream.cli import app
from common import contracts
from common.contracts import Contract
from common.errors import BadInput, ConfigError, SchemaIncompatible
from common.registry.schema_history import incompatibilities, problems

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
ID = {"name": "id", "type": "string"}
TIME = {"name": "at", "type": MILLIS}


def schema(*fields: dict[str, Any], name: str = "Event") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


def history(*texts: str) -> list[Contract]:
    return [Contract("events-value", number, text) for number, text in enumerate(texts, start=1)]


GOOD = {
    "the same": schema(ID, TIME),
    "an added field with a default": schema(ID, TIME, {"name": "more", "type": ["null", "int"], "default": None}),
    "a field left out": schema(ID),
    "a field renamed by an alias": schema({"name": "key", "type": "string", "aliases": ["id"]}, TIME),
    "a field that may be null now": schema({"name": "id", "type": ["null", "string"]}, TIME),
}
BAD = {
    "an added field without a default": (schema(ID, TIME, {"name": "more", "type": "int"}), "more has no default"),
    "another type": (schema({"name": "id", "type": "int"}, TIME), "int not compatible with writer type: string"),
    "a renamed field": (schema({"name": "key", "type": "string"}, TIME), "key has no default"),
    "a renamed record": (schema(ID, TIME, name="Other"), "the name changed"),
    "microseconds": (
        schema(ID, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}),
        "/at changed its meaning from timestamp-millis to timestamp-micros",
    ),
    "a time that is only a number now": (schema(ID, {"name": "at", "type": "long"}), "from timestamp-millis to plain"),
    "no JSON": ("{", "is no Avro schema"),
    "no Avro": (schema({"name": "id", "type": "text"}), "is no Avro schema"),
    "a default of another type": (
        schema(ID, TIME, {"name": "more", "type": "int", "default": "none"}),
        "is no Avro schema",
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_a_version_that_can_read_the_one_before_it_passes(text: str) -> None:
    assert problems(history(schema(ID, TIME), text)) == []


@pytest.mark.parametrize(("text", "wanted"), BAD.values(), ids=BAD.keys())
def test_a_version_that_cannot_is_told_with_the_reason(text: str, wanted: str) -> None:
    [problem] = problems(history(schema(ID, TIME), text))
    assert wanted in problem


def test_a_decimal_keeps_its_scale() -> None:
    def money(scale: int) -> str:
        kind = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": scale}
        return schema({"name": "amount", "type": ["null", kind]})

    assert incompatibilities(money(2), money(2)) == []
    assert incompatibilities(money(4), money(2)) == [
        "/amount changed its meaning from decimal(12, 2) to decimal(12, 4)"
    ]


def test_every_version_is_compared_with_all_before_it() -> None:
    # Each version reads its neighbour. The third requires a field that the second left out, and so cannot read the
    # second alone.
    gone_and_back = history(schema(ID, TIME), schema(ID), schema(ID, TIME))
    assert [problem[:46] for problem in problems(gone_and_back)] == ["version 3 cannot read what version 2 wrote: th"]
    # The newest version reads the one before, and can no longer read the first.
    default = {"name": "n", "type": "int", "default": 0}
    other_type = {"name": "n", "type": "string", "default": ""}
    found = problems(history(schema(ID, default), schema(ID), schema(ID, other_type)))
    assert len(found) == 1
    assert "version 3 cannot read what version 1 wrote" in found[0]


def test_a_version_that_is_missing_is_told() -> None:
    first, second = history(schema(ID), schema(ID))
    assert problems([first, Contract(second.subject, 3, second.text)]) == ["events-value has no version 2"]


def test_the_contracts_of_this_project_pass() -> None:
    assert {name: problems(contracts.history(name)) for name in contracts.names()} == {
        name: [] for name in contracts.names()
    }


def test_the_command_needs_no_registry(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "check", "--offline"])
    assert result.exit_code == 0, result.output
    assert "ads_data: 2 versions, each can read all before it" in result.output
    draft = tmp_path / "draft.avsc"
    draft.write_text(json.dumps({**contracts.latest("ads_data").schema, "name": "Other"}), encoding="utf-8")
    result = CliRunner().invoke(app, ["schema", "check", "ads_data", "--offline", "--file", str(draft)])
    assert isinstance(result.exception, SchemaIncompatible)
    assert "version 3 cannot read what version 1 wrote: the name changed" in str(result.exception)
    assert isinstance(CliRunner().invoke(app, ["schema", "check"]).exception, ConfigError)


def test_a_draft_that_backward_takes_and_the_contract_cannot_read_is_warned_of(tmp_path: Path) -> None:
    schema = contracts.latest("ads_data").schema
    draft = tmp_path / "draft.avsc"
    widened = [{**field, "type": "double"} if field["name"] == "clicks" else field for field in schema["fields"]]
    draft.write_text(json.dumps({**schema, "fields": widened}), encoding="utf-8")
    result = CliRunner().invoke(app, ["schema", "check", "ads_data", "--offline", "--file", str(draft)])
    assert result.exit_code == 0, result.output
    assert "the writer's clicks is a double, the contract's an int" in result.output
    assert "its messages become dead letters (incompatible_schema)" in result.output
    draft.write_text(json.dumps(schema), encoding="utf-8")
    result = CliRunner().invoke(app, ["schema", "check", "ads_data", "--offline", "--file", str(draft)])
    assert "warning" not in result.output


def test_an_annotation_that_nobody_knows_is_no_fault() -> None:
    plain = schema({"name": "id", "type": {"type": "string", "logicalType": "order"}}, TIME)
    assert problems(history(plain, plain)) == []


def test_a_schema_of_many_levels_is_told_in_a_line() -> None:
    deep = '{"type": "array", "items": ' * 2_000 + '"int"' + "}" * 2_000
    [problem] = problems(history(deep))
    assert "is no Avro schema" in problem


@pytest.mark.parametrize("how", [(), ("--offline",)])
def test_a_draft_that_is_no_avro_is_one_line_about_the_file(tmp_path: Path, how: tuple[str, ...]) -> None:
    draft = tmp_path / "draft.avsc"
    for text in ("root:x:0:0", schema({"name": "id", "type": "text"})):
        draft.write_text(text, encoding="utf-8")
        result = CliRunner().invoke(app, ["schema", "check", "ads_data", "--file", str(draft), *how])
        assert isinstance(result.exception, BadInput)
        assert str(result.exception).startswith(f"{draft} is no Avro schema: ")
        assert str(result.exception).endswith("; correct the file")
