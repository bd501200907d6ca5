"""The command that writes JSON lines: files are complete or invisible, of up to 1,000 events, and sorted by name."""

import json
import threading
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adstream.cli import app
from common import contracts
from common.errors import BadInput, ConfigError
from producer.events import SAMPLES, SOURCES, find
from producer.files import JsonFiles
from producer.json_encoding import JsonEncoder
from producer.records import Record
from producer.run import run
from producer.timeline import Timeline
from producer.traffic import Mix

ENCODE = JsonEncoder(contracts.latest("logins"))


def login(number: int) -> Record:
    return Record("u", {"user_id": f"u{number}", "timestamp": number})


def lines(folder: Path) -> list[list[dict[str, object]]]:
    """Return the events of each visible file, in the order of the names."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in visible]


def produce(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["produce", *map(str, arguments)])


def test_a_file_is_visible_only_when_it_is_whole(tmp_path: Path) -> None:
    files = JsonFiles(tmp_path / "new" / "inbox", "logins", ENCODE)
    for number in range(1_000):
        assert lines(files.folder) == []
        files.send(login(number))
    assert [len(each) for each in lines(files.folder)] == [1_000]
    files.send(login(1_000))
    assert (files.sent, files.acknowledged, files.files) == (1_001, 1_000, 1)
    files.flush()
    assert [len(each) for each in lines(files.folder)] == [1_000, 1]
    assert [event["user_id"] for each in lines(files.folder) for event in each] == [f"u{n}" for n in range(1_001)]
    assert len(list(files.folder.iterdir())) == 2


def test_names_of_later_files_and_runs_sort_later_and_differ(tmp_path: Path) -> None:
    for nth in range(3):
        files = JsonFiles(tmp_path, "logins", ENCODE)
        for step in range(2):
            files.send(login(2 * nth + step))
            files.flush()
    assert [event["timestamp"] for (event,) in lines(tmp_path)] == [f"1970-01-01T00:00:00.00{n}Z" for n in range(6)]


def test_at_a_low_rate_a_file_does_not_wait_for_its_thousandth_event(tmp_path: Path) -> None:
    for seconds, visible in ((3_600.0, []), (0.0, [1])):
        files = JsonFiles(tmp_path, "logins", ENCODE, longest_open_seconds=seconds)
        files.send(login(1))
        files.serve(0)
        assert [len(each) for each in lines(tmp_path)] == visible
        files.abandon()


def test_what_is_abandoned_leaves_nothing_behind(tmp_path: Path) -> None:
    files = JsonFiles(tmp_path, "logins", ENCODE)
    files.send(login(1))
    files.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        JsonFiles(tmp_path / "file", "logins", ENCODE)
    files = JsonFiles(tmp_path / "gone", "logins", ENCODE)
    (tmp_path / "gone").rmdir()
    with pytest.raises(BadInput, match=r"cannot be written: .* \(0 of 0 events acknowledged\)"):
        run(files, [login(1)], 0.0, threading.Event(), lambda _sent, _safe: None)


def test_a_run_that_is_stopped_leaves_what_was_written_visible(tmp_path: Path) -> None:
    files, stop = JsonFiles(tmp_path, "logins", ENCODE), threading.Event()

    def after_three(sent: int, _safe: int) -> None:
        if sent == 3:
            stop.set()

    run(files, map(login, range(1_000)), 0.0, stop, after_three)
    assert [len(each) for each in lines(tmp_path)] == [3]
    assert (files.sent, files.acknowledged) == (3, 3)


def test_every_sample_can_be_written_a_file_a_step(tmp_path: Path) -> None:
    for job, sample in SAMPLES.items():
        done = produce(job, "--sample", "--files", tmp_path / job)
        assert done.exit_code == 0, done.output
        assert f"next: adstream stream {job} --files {tmp_path / job}" in done.output
        assert [len(each) for each in lines(tmp_path / job)] == [len(step) for step in sample.steps]
        count, files = len(sample.events), len(sample.steps)
        assert f"{count} events written to {tmp_path / job}, in {files} file" in done.output
        assert f": {count} sample" in done.output


def test_the_sample_of_a_source_is_that_of_its_first_job(tmp_path: Path) -> None:
    done = produce("clickstream", "--sample", "--files", tmp_path)
    assert "next: adstream stream user-clicks " in done.output
    assert [event["user_id"] for event in lines(tmp_path)[0]] == ["user1", "user1", "user2", "user1", "user2"]


def test_a_seed_and_a_count_write_the_same_events(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        done = produce("sales", "--files", tmp_path / folder, "--seed", 3, "--count", 1_500, "--rate", 0, "--late", 0.1)
        assert done.exit_code == 0, done.output
        assert "1,500 events written to" in done.output
    assert lines(tmp_path / "one") == lines(tmp_path / "two")
    assert [len(each) for each in lines(tmp_path / "one")] == [1_000, 500]
    made = islice(find("sales").records(3, Mix(late=0.1), Timeline(1_735_689_600_000, 1.0)), 1_500)
    keys = [event["product_id"] for each in lines(tmp_path / "one") for event in each]
    assert keys == [record.key for record in made]


def test_a_csv_can_be_written_to_files_too(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("ad_id,timestamp,clicks,views,cost\nad-7,2025-01-31T10:00:00Z,1,20,0.75\n")
    done = produce("ads", "--csv", file, "--keep-timestamps", "--files", tmp_path / "inbox")
    assert done.exit_code == 0, done.output
    ((event,),) = lines(tmp_path / "inbox")
    assert (event["ad_id"], event["timestamp"]) == ("ad-7", "2025-01-31T10:00:00.000Z")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("ads --files a --topic b", "--topic has no meaning with --files"),
        ("ads --files a --verbose", "--verbose has no meaning with --files"),
        ("ads --files a --max-queued 5", "--max-queued has no meaning with --files"),
        ("ads --files a --broken 0.1", "--broken has no meaning with --files"),
        ("ads --files a --format avro", "--format avro has no meaning with --files"),
        ("ads --sample --count 3", "--count has no meaning with --sample"),
        ("ads --sample --seed 3", "--seed has no meaning with --sample"),
        ("ads --sample --over 5m", "--over has no meaning with --sample"),
        ("ads --sample --keys 5", "--keys has no meaning with --sample"),
        ("ads --sample --late 0.1", "--late has no meaning with --sample"),
        ("ads --sample --csv a.csv", "--csv has no meaning with --sample"),
        ("ads --csv a.csv --ads 5", "--keys has no meaning with --csv"),
        ("ads --csv a.csv --start now", "--start has no meaning with --csv"),
        ("ads --keep-timestamps", "--keep-timestamps has no meaning without --csv"),
        ("ads --on-bad-row skip", "--on-bad-row has no meaning without --csv"),
        ("sensors --csv a.csv", "--csv has no meaning for sensors"),
        ("orders --keys 5", "--keys has no meaning for orders"),
        ("orders --skew 1", "--skew has no meaning for orders"),
        ("ads --format json", "ads cannot be sent as JSON"),
        (
            "user-clicks --format json",
            f"it is for {', '.join(name for name, source in SOURCES.items() if source.json)}",
        ),
        ("racks --format json --broken 0.1", "--broken has no meaning with --format json"),
        ("senors", "did you mean sensors?"),
        ("top-product", "did you mean top-products?"),
        ("x", f"there is {', '.join(SOURCES)};"),
        ("daily-sales --rate 5", "--rate has no meaning for daily-sales"),
        ("daily-sales --date monday", "--date monday is not a date"),
        ("ads --date 2025-01-14", "--date has no meaning for ads"),
    ],
)
def test_a_mistake_is_answered_with_one_line(arguments: str, said: str) -> None:
    done = produce(*arguments.split())
    assert isinstance(done.exception, ConfigError), done.output
    assert said in str(done.exception)
    assert done.output == ""
