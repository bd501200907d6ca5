"""Migrations as files: the program splits, numbers and checks them before it touches anything."""

from pathlib import Path

import pytest

from common.cassandra.cql_files import Migration, committed, is_repeatable, split
from common.errors import MigrationError

CREATE = "CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY)"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name.lstrip('_')}.cql").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("a; b;", ["a", "b"]),
        ("a", ["a"]),
        (" ;; \n", []),
        ("-- c; d\na; // e;\nb", ["a", "b"]),
        ("a /* ; */ b;", ["a   b"]),
        ("a ';' \"x;y\" 'it''s; -- no';", ["a ';' \"x;y\" 'it''s; -- no'"]),
        ("f $$ return 1; // '$$; b", ["f $$ return 1; // '$$", "b"]),
    ],
)
def test_semicolons_in_quotes_and_comments_do_not_end_a_statement(text: str, statements: list[str]) -> None:
    assert split(text) == statements


@pytest.mark.parametrize("text", ["a;\n'b", 'a "b', "a /* b", "a $$ b"])
def test_what_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(MigrationError, match=f"in line {text.count(chr(10)) + 1} and does not close it"):
        split(text)


def test_every_committed_statement_may_run_twice_and_every_file_says_what_it_is_for() -> None:
    migrations = committed()
    assert [migration.label for migration in migrations][:2] == ["001_ad_metrics", "002_ad_metrics_by_window"]
    for migration in migrations:
        assert migration.statements
        assert migration.text.startswith("-- ")


@pytest.mark.parametrize(
    "statement",
    [
        "create table if not exists t (a int primary key)",
        "ALTER TABLE t ADD IF NOT EXISTS b int",
        "ALTER TABLE t\n WITH comment = 'x'",
        "DROP INDEX IF EXISTS i",
    ],
)
def test_repeatable(statement: str) -> None:
    assert is_repeatable(statement)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (a int PRIMARY KEY)", "ALTER TABLE t ADD b int", "DROP TABLE t", "TRUNCATE t"]
)
def test_not_repeatable(statement: str) -> None:
    assert not is_repeatable(statement)
    with pytest.raises(MigrationError, match="cannot be applied twice"):
        _ = Migration(1, "x", f"{CREATE}; {statement};").statements


def test_files_come_in_order_and_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, _002_b=CREATE, _001_a=CREATE)
    (tmp_path / "README.md").touch()
    assert [migration.label for migration in committed(tmp_path)] == ["001_a", "002_b"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("_001_a", "_003_c"), "003_c.cql stands where number 002 belongs"),
        (("_001_a", "_001_b"), "001_b.cql stands where number 002 belongs"),
        (("_001_a", "more"), "more.cql is not a migration's name"),
    ],
)
def test_a_gap_a_repeated_number_and_a_strange_name_are_refused(
    tmp_path: Path, names: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(MigrationError, match=problem):
        committed(write(tmp_path, **dict.fromkeys(names, CREATE)))


def test_the_checksum_follows_the_text_and_not_the_newlines_of_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "001_a.cql").write_bytes(b"-- a\r\nDROP TABLE IF EXISTS t;\r\n")
    read = committed(tmp_path)[0]
    assert read.checksum == Migration(1, "a", "-- a\nDROP TABLE IF EXISTS t;\n").checksum
    assert read.checksum != Migration(1, "a", "-- b\nDROP TABLE IF EXISTS t;\n").checksum


def test_a_file_without_statement_is_refused() -> None:
    with pytest.raises(MigrationError, match="holds no statement"):
        _ = Migration(1, "x", "-- nothing yet\n").statements
