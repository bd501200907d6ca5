"""The static table of a job: read once and completely. A malformed CSV gives an error with the line's number."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from common.errors import BadInput
from streaming import lookup
from streaming.lookup import lookup_table

COLUMNS = "id int, category string"


def read(spark: SparkSession, path: Path) -> list[tuple[object, ...]]:
    return [tuple(row) for row in lookup_table(spark, path, COLUMNS).collect()]


def test_columns_in_any_order_and_case_and_empty_text_is_null(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('Category,ID\r\nfruit, 1\r\n"a, b",-2147483648\r\n,3\r\n', encoding="utf-8-sig")
    assert read(spark, path) == [(1, "fruit"), (-(2**31), "a, b"), (3, None)]
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadInput, match="fifo is not a regular file; write it into a file, and give that to --lookup"):
        read(spark, tmp_path / "fifo")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "id;category\n1;fruit\n",
            "line 1 is not the header id,category: it has ';' between its columns; save it with commas",
        ),
        ("id,category,more\n", "line 1 is not the header id,category: 'more' is no column of it; add or correct it"),
        ("id\n1\n", "category is missing"),
        ("id,category\n1,fruit\n1\n", "line 3: 1 columns instead of 2; correct it"),
        ("id,category\n1.0,fruit\n", "line 2: id '1.0' is not a whole number; correct it"),
        ("id,category\n1_0,fruit\n", "line 2: id '1_0' is not a whole number"),
        ("id,category\n\u0661,fruit\n", "line 2: id '\u0661' is not a whole number"),
        ("id,category\n,fruit\n", "line 2: id '' is not a whole number"),
        ("id,category\n2147483648,fruit\n", "line 2: id '2147483648' has more than 32 bits"),
        ("id,category\n1,fruit\n2,spice\n3,nut\n", "has more than 2 rows"),
    ],
)
def test_a_table_in_another_form_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr(lookup, "MOST_ROWS", 2)
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        read(spark, tmp_path / "table.csv")
    assert said in str(refused.value)
    with pytest.raises(BadInput, match=r"nowhere cannot be read: No such file or directory; .* --lookup"):
        read(spark, tmp_path / "nowhere")
