"""The registry with other programs in it: our client respects their texts, levels, deletions and subjects.

The tests run on the stack's registry, and on another version of it (docs/compatibility.md).
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from pydantic import SecretStr

from common import contracts
from common.contracts import Contract
from common.errors import SchemaIncompatible, SchemaNotFound
from common.registry import Registered, RegistryClient
from common.registry.writers import MOST_ASKED, MOST_OTHERS, REMEMBERED, Writers
from common.settings import RegistrySettings
from tests.e2e.commands import adstream, one_line
from tests.e2e.lone_registry import ask, lone_registry, put
from tests.e2e.other_registry import other_registry
from tests.e2e.other_registry import version as version_of_other

LEVELS = ("NONE", "FULL", "FULL_TRANSITIVE", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE")
FIRST, SECOND = contracts.history("ads_data")
COUNTRY = {"type": "enum", "name": "Country", "namespace": "geo", "symbols": ["CH", "DE"]}
PLACE = {"type": "record", "name": "Place", "namespace": "geo", "fields": [{"name": "country", "type": "Country"}]}


@pytest.fixture(scope="module", params=[lone_registry, other_registry], ids=["the stack's", version_of_other()])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistrySettings]:
    with request.param(tmp_path_factory.mktemp("registry")) as settings:
        yield settings


@pytest.fixture
def topic() -> str:
    return f"ads-{secrets.token_hex(4)}"


def version(topic: str, number: int) -> Contract:
    return replace((FIRST, SECOND)[number - 1], subject=f"{topic}-value")


def level(registry: RegistrySettings, subject: str) -> str:
    return str(ask(registry, "GET", f"/config/{subject}").json().get("compatibilityLevel"))


def numbers(registry: RegistrySettings, topic: str) -> list[int]:
    found: list[int] = ask(registry, "GET", f"/subjects/{topic}-value/versions").json()
    return found


def turned_round(node: Any) -> Any:
    """Return the same JSON with the keys of every object in the opposite order."""
    if isinstance(node, dict):
        return {key: turned_round(node[key]) for key in reversed(node)}
    return [turned_round(each) for each in node] if isinstance(node, list) else node


def without_docs(schema: dict[str, Any]) -> dict[str, Any]:
    fields = [{key: part for key, part in field.items() if key != "doc"} for field in schema["fields"]]
    return {**schema, "doc": "Another one.", "fields": fields}


SAME = {
    "white space": json.dumps(SECOND.schema, indent=4),
    "the order of keys": json.dumps(turned_round(SECOND.schema)),
    "documentation": json.dumps(without_docs(SECOND.schema)),
    "all three": json.dumps(turned_round(without_docs(SECOND.schema)), indent=1),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_text_that_says_the_same_has_the_id_it_has(registry: RegistrySettings, topic: str, text: str) -> None:
    client = RegistryClient(registry)
    first, second = client.put(version(topic, 1)), client.put(version(topic, 2))
    assert (first.version, second.version) == (1, 2)
    assert client.put(Contract(f"{topic}-value", 0, text), documentation=False).id == second.id
    assert client.put(version(topic, 1)).id == first.id
    assert numbers(registry, topic) == [1, 2]


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_another_programs_text_is_taken_for_the_same(registry: RegistrySettings, topic: str, text: str) -> None:
    theirs = put(registry, f"{topic}-value", text)
    assert RegistryClient(registry).put(version(topic, 2), documentation=False).id == theirs
    assert numbers(registry, topic) == [1]


def test_another_default_is_another_version(registry: RegistrySettings, topic: str) -> None:
    client = RegistryClient(registry)
    client.put(version(topic, 2))
    schema = version(topic, 2).schema
    schema["fields"][-1] |= {"type": ["string", "null"], "default": ""}
    assert client.put(Contract(f"{topic}-value", 0, json.dumps(schema))).version == 2


def test_a_new_subject_becomes_backward(registry: RegistrySettings, topic: str) -> None:
    RegistryClient(registry).register(version(topic, 1))
    assert level(registry, f"{topic}-value") == "BACKWARD"


@pytest.mark.parametrize(
    ("set_to", "before"), [*((each, False) for each in LEVELS), *((each, True) for each in LEVELS[1:])]
)
def test_a_level_that_somebody_set_stays(registry: RegistrySettings, topic: str, set_to: str, before: bool) -> None:
    """Somebody sets the level after the first version, or `before` it.

    Apicurio allows the latter for all levels but NONE.
    """
    client, subject = RegistryClient(registry), f"{topic}-value"
    if not before:
        client.register(version(topic, 1))
    assert ask(registry, "PUT", f"/config/{subject}", {"compatibility": set_to}).is_success
    for number in (1, 2, 2):
        client.register(version(topic, number))
    assert level(registry, subject) == set_to
    assert client.warnings == []


def test_a_level_for_all_subjects_stays_and_holds(registry: RegistrySettings, topic: str) -> None:
    client, subject = RegistryClient(registry), f"{topic}-value"
    assert ask(registry, "PUT", "/config", {"compatibility": "FULL_TRANSITIVE"}).is_success
    try:
        client.register(version(topic, 1))
        assert level(registry, subject) == "NONE"  # Apicurio's answer for a subject without a level of its own
        assert level(registry, "")[:4] == "FULL"
        narrower = version(topic, 1).schema
        narrower["fields"].pop()
        with pytest.raises(SchemaIncompatible):
            client.register(Contract(subject, 0, json.dumps(narrower)))
    finally:
        assert ask(registry, "PUT", "/config", {"compatibility": "NONE"}).is_success


def test_deleted_versions_are_listed_only_where_asked_for(registry: RegistrySettings, topic: str) -> None:
    client, subject = RegistryClient(registry), f"{topic}-value"
    ids = [client.register(version(topic, number)) for number in (1, 2)]
    ask(registry, "DELETE", f"/subjects/{subject}/versions/1")
    assert [each.id for each in client.versions(subject)] == ids[1:]
    assert [each.id for each in client.versions(subject, deleted=True)] == ids
    ask(registry, "DELETE", f"/subjects/{subject}")
    with pytest.raises(SchemaNotFound):
        client.versions(subject)
    assert sorted(Writers(client, topic).known()) == sorted(ids)
    assert client.register(version(topic, 2)) == ids[1]


def test_types_of_other_subjects_are_written_out(registry: RegistrySettings, topic: str) -> None:
    put(registry, f"{topic}-country", json.dumps(COUNTRY))
    put(
        registry, f"{topic}-place", json.dumps(PLACE),
        references=[{"name": "geo.Country", "subject": f"{topic}-country", "version": 1}],
    )  # fmt: skip
    schema = version(topic, 2).schema
    schema["fields"] += [
        {"name": "place", "type": ["null", "geo.Place"], "default": None},
        {"name": "other", "type": ["null", "geo.Place"], "default": None},
    ]
    schema_id = put(
        registry, f"{topic}-value", json.dumps(schema),
        references=[{"name": "geo.Place", "subject": f"{topic}-place", "version": 1}],
    )  # fmt: skip
    # Somebody may delete the referenced version: the references keep working.
    ask(registry, "DELETE", f"/subjects/{topic}-country/versions/1")
    client = RegistryClient(registry)
    texts = {client.by_id(schema_id), client.latest(f"{topic}-value").text}
    texts |= {each.text for each in client.versions(f"{topic}-value", deleted=True)}
    assert len(texts) == 1
    fields = {each["name"]: each["type"] for each in json.loads(texts.pop())["fields"]}
    assert fields["place"][1]["fields"][0]["type"]["symbols"] == ["CH", "DE"]
    assert fields["other"] == ["null", "geo.Place"]
    fastavro.parse_schema({**schema, "fields": [{"name": name, "type": kind} for name, kind in fields.items()]})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("JSON", '{"type": "object", "properties": {}}'),
        ("PROTOBUF", 'syntax = "proto3"; message Ad { string ad_id = 1; }'),
    ],
)
def test_an_id_of_another_kind_of_schema_is_named(registry: RegistrySettings, topic: str, kind: str, text: str) -> None:
    schema_id = put(registry, f"{topic}-other", text, schemaType=kind)
    client = RegistryClient(registry)
    assert client.found(schema_id).kind == kind
    with pytest.raises(SchemaIncompatible, match=f"schema id {schema_id} is a {kind} schema, not Avro"):
        client.by_id(schema_id)


class Counting(RegistryClient):
    """Counts the requests for ids."""

    def __init__(self, settings: RegistrySettings) -> None:
        super().__init__(settings)
        self.asked: list[int] = []

    def found(self, schema_id: int) -> Registered:
        self.asked.append(schema_id)
        return super().found(schema_id)


def other_schema(topic: str, number: int) -> str:
    """Return a schema that no other test registers: a registry gives the same id to the same schema of all subjects."""
    schema = SECOND.schema
    schema["fields"].append({"name": f"extra_{number}", "type": "int", "default": 0, "doc": topic})
    return json.dumps(schema)


def test_a_job_asks_for_few_of_many_unknown_ids_and_remembers_them(registry: RegistrySettings, topic: str) -> None:
    client, now = Counting(registry), 0.0
    client.register(version(topic, 1))
    writers = Writers(client, topic, clock=lambda: now)
    known = put(registry, f"{topic}-adstream.AdEvent", other_schema(topic, 1))
    garbage = range(1_000_000, 1_000_000 + 10 * MOST_ASKED)
    assert writers.registered([*garbage[: MOST_ASKED - 1], known, *garbage], set()) >= {known}
    assert client.asked == [*garbage[: MOST_ASKED - 1], known]
    assert writers.registered([*garbage[: MOST_ASKED - 1], known], {known, *writers.known()}) == set()
    assert len(client.asked) == MOST_ASKED
    now = REMEMBERED.total_seconds()
    assert writers.registered(garbage[:1], writers.known()) == set()
    assert client.asked[MOST_ASKED:] == [garbage[0]]
    # No registry has an id that is larger than a Java integer.
    assert writers.registered([2**31, 2**32 - 1], writers.known()) == set()
    assert len(client.asked) == MOST_ASKED + 1


def test_a_plan_has_few_schemas_of_other_subjects(registry: RegistrySettings, topic: str) -> None:
    client = RegistryClient(registry)
    client.register(version(topic, 1))
    others = [put(registry, f"{topic}-other", other_schema(topic, number)) for number in range(MOST_OTHERS + 5)]
    writers = Writers(client, topic)
    assert writers.registered(others, writers.known()) == set(others[:MOST_OTHERS])
    assert len(writers.contracts()) == MOST_OTHERS + 1
    # The limit does not apply to versions of the topic's own subject.
    newest = client.register(version(topic, 2))
    assert writers.registered([newest], set()) == {newest}


def test_other_subjects_can_be_left_out(registry: RegistrySettings, topic: str) -> None:
    client = Counting(registry)
    ids = [client.register(version(topic, number)) for number in (1, 2)]
    ask(registry, "DELETE", f"/subjects/{topic}-value/versions/1")
    other = put(registry, f"{topic}-other", other_schema(topic, 2))
    writers = Writers(client, topic, others=False)
    assert writers.registered([other, *ids], set()) == set(ids)
    assert writers.find(other) is None
    assert client.asked == []
    # If the registry cannot list deleted versions, an unlisted id may belong to one.
    client.lists_deleted = False
    assert writers.find(other) is None
    found = Writers(Counting(registry), topic).find(other)
    assert found is not None
    assert (found.subject, found.version) == (f"{topic}-other", 1)


def test_numbers_that_are_printed_are_the_registrys(
    registry: RegistrySettings, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(registry, f"{topic}-value", other_schema(topic, 3))
    draft = tmp_path / "draft.avsc"
    draft.write_text(json.dumps(SECOND.schema, indent=2))
    for _ in range(2):
        done = register(registry, topic, draft)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"{topic}-value version 2 has id ")
        assert done.stderr == ""


def register(registry: RegistrySettings, topic: str, draft: Path, **more: str) -> subprocess.CompletedProcess[str]:
    given = {"ADSTREAM_TOPIC_ADS": topic, "ADSTREAM_REGISTRY_URL": registry.url, **more}
    return adstream("schema", "register", "ads_data", "--file", draft, **given)


def test_no_right_to_set_the_level_is_a_warning(tmp_path: Path, topic: str) -> None:
    """The account may register, and may not set levels. Hosted registries give service accounts these rights."""
    users = {"quarkus__security__users__embedded__users__ann": "secret-of-ann"}
    levels = "quarkus__http__auth__permission__levels"
    rights = {
        "quarkus__http__auth__basic": "true",
        "quarkus__security__users__embedded__enabled": "true",
        "quarkus__security__users__embedded__plain_text": "true",
        "quarkus__security__users__embedded__roles__ann": "writer",
        "quarkus__http__auth__permission__all__paths": "/apis/*",
        "quarkus__http__auth__permission__all__policy": "authenticated",
        "quarkus__http__auth__policy__owners__roles_allowed": "owner",
        f"{levels}__paths": "/apis/ccompat/v7/config/*",
        f"{levels}__methods": "PUT",
        f"{levels}__policy": "owners",
    }
    draft = tmp_path / "draft.avsc"
    draft.write_text(SECOND.text)
    with lone_registry(tmp_path / "registry", **users, **rights) as registry:
        known = registry.model_copy(update={"username": "ann", "password": SecretStr("secret-of-ann")})
        login = {"ADSTREAM_REGISTRY_USERNAME": "ann", "ADSTREAM_REGISTRY_PASSWORD": "secret-of-ann"}
        done = register(registry, topic, draft, **login)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"{topic}-value version 1 has id ")
        assert done.stderr.startswith(f"warning: the compatibility level of {topic}-value is not set: ")
        assert "does not let user 'ann' do this; have somebody with that right set it to BACKWARD" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert [each.version for each in RegistryClient(known).versions(f"{topic}-value")] == [1]
        assert "refuses these credentials" in one_line(register(registry, topic, draft))


def test_a_registry_ends_if_it_cannot_open_its_file_in_the_time_that_its_properties_give(tmp_path: Path) -> None:
    """So the property that gives it long enough on a busy machine still has this name."""
    time_of_first_connection = {"quarkus__datasource__h2__jdbc__acquisition_timeout": "0.001S"}
    with pytest.raises(AssertionError, match="TimeoutException"), lone_registry(tmp_path, **time_of_first_connection):
        pass
