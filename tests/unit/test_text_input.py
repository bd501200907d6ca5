"""Files as users have them: pipes, compressed, in UTF-16, damaged; and waits that end."""

import bz2
import gzip
import lzma
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import BadInput
from common.text import text_input
from common.text.text_input import LONGEST_LINE, TextInput

TEXT = "one\r\ntwo \u00e4\n\nfour"
LINES = ["one\r\n", "two \u00e4\n", "\n", "four"]
HEADER = "ad_id,timestamp,clicks,views,cost\n"
ROW = "a,2025-01-31T10:00:00Z,1,2,0.5\n"
ZSTD_OF_NOTHING = bytes.fromhex("28b52ffd2000010000")


def read(path: Path) -> list[str]:
    return list(TextInput(path, "--csv").lines())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_text_is_read_twice_however_it_is_packed(tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "named-without-an-ending"
    path.write_bytes(pack(TEXT.encode(encoding)))
    text = TextInput(path, "--csv")
    assert list(text.lines()) == LINES
    assert list(text.lines()) == LINES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ZSTD_OF_NOTHING, "is compressed with Zstandard"),
        (b"\x04\x22\x4d\x18____", "is compressed with LZ4"),
        (b"PK\x03\x04____", "is a ZIP archive or a spreadsheet"),
        (b"PAR1____", "is a Parquet file"),
        (b"\x1f\x9d____", "is compressed with compress"),
        (HEADER.encode("utf-32"), "is UTF-32 text"),
        (HEADER.encode() + b"ad\xff", "line 2 is not UTF-8 text"),
        (b"\n" * 50_000 + b"\xed\xa0\x80\n\n", "line 50001 is not UTF-8 text"),
        (HEADER.encode("latin-1") + b"\n\n\xe4,\n", "line 4 is not UTF-8 text"),
        (HEADER.encode("utf-16")[:-1], "is not whole UTF-16 text"),
        (gzip.compress(HEADER.encode(), mtime=0)[:-9], "is damaged: "),
        (gzip.compress(HEADER.encode(), mtime=0)[:-8] + bytes(8), "is damaged: CRC check failed"),
        (gzip.compress(HEADER.encode(), mtime=0) + b"x", "is damaged: Not a gzipped file"),
        (bz2.compress(HEADER.encode())[:-5], "is damaged: "),
        (lzma.compress(HEADER.encode())[:-5], "is damaged: "),
        (b"x" * (LONGEST_LINE + 1), "line 1 is longer than 1,048,576 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_text_is_one_true_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadInput) as refused:
        read(tmp_path / "file")
    assert str(refused.value).startswith(f"{tmp_path / 'file'} {said}")
    assert refused.value.remedy


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="nowhere cannot be read: No such file or directory; check the path given to --csv"
    ):
        read(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="is a folder; give a file to --csv"):
        read(tmp_path)


def test_a_pipe_is_kept_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_input, "_SLOW_SECONDS", 0.05)
    fifo, told = tmp_path / "fifo", threading.Event()
    os.mkfifo(fifo)

    def write() -> None:
        assert told.wait(60)
        fifo.write_bytes(gzip.compress(TEXT.encode()))

    writer = threading.Thread(target=write)
    writer.start()
    said: list[str] = []
    text = TextInput(fifo, "--csv", lambda line: (said.append(line), told.set())[0])
    writer.join()
    assert said == [f"waiting for somebody to write into {fifo}; Ctrl-C ends the wait"]
    assert [list(text.lines()), list(text.lines())] == [LINES, LINES]


def test_a_pipe_without_end_is_refused_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_input, "MOST_PIPED", 1_500)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"x" * 2_000))
    writer.start()
    with pytest.raises(BadInput, match=r"came through .*fifo; write it into a file"):
        TextInput(fifo, "--csv")
    writer.join()


def produce(csv: str, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "adstream.cli", "produce", "ads", "--keep-timestamps", "--csv", csv]
    return subprocess.Popen([*command, "--files", "inbox"], text=True, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def written(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted((folder / "inbox").iterdir()))


@pytest.mark.parametrize("named", ["-", "/dev/stdin"])
def test_standard_input_is_a_file_like_any_other(tmp_path: Path, named: str) -> None:
    with produce(named, stdin=subprocess.PIPE, cwd=tmp_path) as running:
        _, err = running.communicate(HEADER + ROW * 3, timeout=120)
    assert running.returncode == 0, err
    assert written(tmp_path).count('"ad_id": "a"') == 3


def test_a_substituted_process_is_a_file_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(HEADER + ROW * 3 + "b,20250221,1,2,0\n")
    command = f"{sys.executable} -m adstream.cli produce ads --csv <(cat events.csv) --files inbox"
    for options, code in (("", 1), (" --on-bad-row skip", 0)):
        done = subprocess.run(
            ["bash", "-c", command + options], cwd=tmp_path, text=True, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == code, done.stderr
        assert "line 5" in done.stderr
        assert "20250221" in done.stderr
    assert written(tmp_path).count('"ad_id": "a"') == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait_for_a_pipe_that_nobody_writes_into(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    os.mkfifo(tmp_path / "fifo")
    with produce("fifo", cwd=tmp_path) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "waiting for somebody to write into fifo; Ctrl-C ends the wait\n"
        running.send_signal(number)
        assert running.wait(timeout=60) == code
        assert "Traceback" not in running.stderr.read()
    assert not (tmp_path / "inbox").exists()
