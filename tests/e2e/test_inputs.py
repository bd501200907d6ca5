"""Other inputs and outputs of a job, as a user runs them: samples, SQL, files, a socket, the console."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.settings import Settings
from tests.e2e.commands import adstream, one_line, started

LINE = b'{"id": "phone1", "action": "open", "ts": "2018-03-02T10:01:00Z"}\n'


@pytest.fixture(autouse=True)
def own_place(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stack.data_dir.is_dir()
    monkeypatch.setenv("ADSTREAM_SPARK_UI", "false")


def run(*arguments: str | Path) -> str:
    done = adstream(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sql_over_a_sample_answers_from_memory_whatever_spark_home_is_and_keeps_nothing(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/another-spark")
    assert "no sample of user-clicks" in one_line(adstream("sql", "user-clicks", "select 1", "--sample"))
    assert "next: adstream stream user-clicks --sample" in run("produce", "user-clicks", "--sample")
    query = "select user_id, sum(clicks) as n from user_clicks group by user_id order by user_id"
    rows = [line.split() for line in run("sql", "user-clicks", query, "--sample").splitlines()]
    assert rows[1:] == [["user_id", "n"], ["user1", "3"], ["user2", "2"]]
    assert not list(stack.checkpoints.glob("user-clicks*"))
    for query in ("selec 1", "select * from text.`s3a://bucket/lines`"):  # not SQL, and not a file system that is there
        wrong = adstream("sql", "user-clicks", query, "--sample")
        assert wrong.returncode == 1
        assert wrong.stderr.splitlines()[-1].startswith("error: the query does not run: ")
        assert "Traceback" not in wrong.stderr


def test_a_sample_written_to_files_is_read_from_the_folder_without_kafka(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    said = run("produce", "mobile-actions", "--sample", "--files", inbox)
    assert f"next: adstream stream mobile-actions --files {inbox}" in said
    assert len(list(inbox.iterdir())) == 3
    shown = run("stream", "mobile-actions", "--files", inbox, "--once", "--console")
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in inbox.iterdir())
    taken = [int(count) for count in re.findall(r"^batch \d+ · (\d+) events in ", shown, re.MULTILINE)]
    assert sum(taken) == lines > 3
    rows = {tuple(re.split(r"\s{2,}", line.strip())) for line in shown.splitlines()}
    assert ("open", "2018-03-02 10:00:00", "2018-03-02 10:10:00", "8") in rows
    assert ("close", "2018-03-02 10:00:00", "2018-03-02 10:10:00", "6") in rows
    assert ("open", "2018-03-02 10:10:00", "2018-03-02 10:20:00", "2") in rows
    missing = one_line(adstream("stream", "mobile-actions", "--files", tmp_path / "nowhere", "--once", "--console"))
    assert "there is no folder" in missing


@contextmanager
def line_server() -> Iterator[int]:
    """Serve one line to each client, and hold the connection. Yield the port."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(LINE)
            over.wait(120)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        over.set()
        server.shutdown()


def test_lines_from_a_socket_are_counted() -> None:
    with (
        line_server() as port,
        started("stream", "mobile-actions", "--socket", f"127.0.0.1:{port}", "--console", "--trigger", "1s") as job,
    ):
        assert job.stdout is not None
        seen = next(line for line in job.stdout if line.startswith("open"))
        assert re.split(r"\s{2,}", seen.strip()) == ["open", "2018-03-02 10:00:00", "2018-03-02 10:10:00", "1"]
        job.terminate()
        assert job.wait(timeout=120) == 0


def test_mistakes_about_inputs_and_options_are_one_line() -> None:
    cases = {
        ("stream", "user-click"): "did you mean user-clicks?",
        ("stream", "user-clicks", "--gap", "1m"): "user-clicks has no --gap",
        ("stream", "user-clicks", "--sample", "--topic", "x"): "--sample and --topic are two inputs",
        ("stream", "user-clicks", "--socket", "9999"): "--socket 9999 is not an address",
        ("stream", "ad-metrics", "--mode", "complete"): "ad-metrics does not run in complete mode",
        ("batch", "daily-sale"): "did you mean daily-sales?",
        ("batch", "daily-sales", "--date", "yesterday"): "--date yesterday is not a date",
        ("validate", "user-clicks"): "there is nothing to validate for user-clicks",
        ("show", "ad-tail"): "ad-tail writes no table",
    }
    for arguments, said in cases.items():
        assert said in one_line(adstream(*arguments)), arguments
