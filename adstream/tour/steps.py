"""The tour: the life of a pipeline in eleven steps, each with the commands that anybody could type.

It has its own topic, its own checkpoint, and the keyspace `tour`, which it empties first. It stops the processes that
it starts, also on Ctrl-C; but the services stay up.
"""

import json
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.padding import Padding

from adstream.tour.one_click import Clicks
from adstream.tour.processes import RunningJob, run_command
from common import contracts
from common.errors import JobFailed
from common.settings import Settings
from common.text.hexdump import hexdump
from common.text.terminal import Terminal, parts
from consumer.debug import DebugConsumer
from stack.host.signals import ending_deferred, ending_raises

STEPS = 11
KEYSPACE = "tour"
# Short, so that a window ends while somebody watches.
RULES = "--window 20s --slide 10s --lateness 20s"
CLICKS = 7
FIRST_CLICK_SECONDS, CLICK_SECONDS = 900.0, 60.0
# This many broken messages of this seed include every kind.
BROKEN = "--count 40 --broken 1 --seed 7 --start now"
REPAIRABLE = "clicks_negative"


class Tour:
    """One run of the tour. With `wait` each step begins when somebody presses Enter."""

    def __init__(self, out: Terminal, *, wait: bool) -> None:
        self._out = out
        self._wait = wait
        self._asked = True
        self._step = 0
        self._job: RunningJob | None = None
        self._topic = f"tour-{datetime.now(UTC):%Y%m%dT%H%M%S}"

    def run(self) -> None:
        """Go through all steps. Raises JobFailed for a failed command, whose own line says why."""
        with ending_raises(), self._own_places():
            try:
                self._services()
                settings = Settings()
                self._produce(settings)
                self._stream(settings)
                self._windows(settings)
                self._late(settings)
                self._broken(settings)
                self._evolve(settings)
                self._kill(settings)
                self._verify()
                self._real_time(settings)
            finally:
                if self._job is not None:
                    self._out.print("\nstopping the job, after its batch")
                    with ending_deferred():
                        self._job.stop()
        self._what_next()

    @contextmanager
    def _own_places(self) -> Iterator[None]:
        """Use the tour's own topics and keyspace, in this process and its children."""
        own = {
            "ADSTREAM_TOPIC_ADS": self._topic,
            "ADSTREAM_TOPIC_DEAD_LETTERS": f"{self._topic}.dead-letters",
            "ADSTREAM_TOPIC_UPDATES": f"{self._topic}.updates",
            "ADSTREAM_CASSANDRA_KEYSPACE": KEYSPACE,
        }
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        self._out.print("Everything happens in places of its own. To type along, in another terminal:")
        self._out.print(f"  export {' '.join(f'{name}={value}' for name, value in own.items())}", style="cyan")
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def _services(self) -> None:
        self._explain(
            "The services",
            "Kafka carries the events, the schema registry knows their form, Cassandra keeps the results. They are the"
            " real ones, as processes on this machine; those that run already are left as they are.",
        )
        self._do("up")
        self._explain(
            "A topic, a contract, tables",
            "The topic gets its Avro contract before it gets an event: nobody can send what no reader knows. The tables"
            " come from numbered migrations. Both commands may be repeated at any time. The third empties the tables of"
            " what an earlier tour has left there.",
        )
        self._do("schema register")
        self._do("migrate")
        self._do(f"reset ad-metrics --checkpoint {self._checkpoint_word} --yes")

    def _produce(self, settings: Settings) -> None:
        self._explain(
            "Events, and what they are on the wire",
            "A thousand clicks and views of 12 ads, two in a hundred sent twice, as when a producer tries again."
            " Each message is five bytes (0, and the schema's id) and then Avro, without a single field name.",
        )
        self._do("produce ads --count 1000 --rate 0 --ads 12 --duplicates 0.02")
        self._do(f"consume {self._topic} --count 3")
        with closing(DebugConsumer(settings, self._topic, group=None, from_start=True)) as consumer:
            first = next(batch[0] for batch in consumer.batches(threading.Event()) if batch)
        self._say("the first of them, byte by byte:", *hexdump(first.value() or b"", 96))

    def _stream(self, settings: Settings) -> None:
        self._explain(
            "The job",
            "One Spark query counts each event once and keeps windows and totals in Cassandra. It goes on beside us:"
            " its lines begin with a bar. Windows of 20 seconds, a new one every 10, and an event may come 20"
            " seconds late: ten minutes would be usual, but you would not want to wait.",
        )
        self._start_job()
        self._await_taken(settings)
        self._do("show ad-metrics --limit 5")

    def _windows(self, settings: Settings) -> None:
        self._explain(
            "Windows close",
            "A hundred events a second for most of a minute. A window's row grows while it lasts, and for 20 seconds"
            " more; then it is closed, and its row never changes again.",
        )
        self._do("produce ads --count 4500 --rate 100 --ads 12")
        self._await_taken(settings)
        self._do("show ad-metrics --ad ad-001 --limit 6")
        now = datetime.now(UTC)
        self._say(f"it is {now:%H:%M:%S} UTC: windows that ended more than 20 seconds ago are closed")

    def _late(self, settings: Settings) -> None:
        self._explain(
            "Late events",
            "Events of five minutes ago come only now: their windows are closed. Adding them would change figures that"
            " somebody may have used, so they are not counted, and not forgotten either: how many, for which windows,"
            " and how long the job would have had to wait for them.",
        )
        self._do("produce ads --count 25 --rate 0 --start -5m --ads 3")
        self._await_taken(settings)
        self._do("show ad-metrics --late --limit 3")

    def _broken(self, settings: Settings) -> None:
        self._explain(
            "Broken messages",
            "Bytes that are no Avro, schema ids that do not exist, clicks below zero: none of them may stop the job."
            " Each goes to the dead-letter topic with its bytes and a reason. What can be repaired is sent again.",
        )
        self._do(f"produce ads --rate 0 {BROKEN}")
        self._await_taken(settings)
        self._do("dead-letters list --limit 5")
        letters = [json.loads(line) for line in self._quietly("dead-letters list --json").splitlines()]
        place = next(each["place"] for each in letters if each["reason"] == REPAIRABLE)
        self._do(f"dead-letters explain {place}")
        self._do(f"dead-letters replay {place} --set clicks=3 --set timestamp=now --yes")
        self._await_taken(settings)

    def _evolve(self, settings: Settings) -> None:
        draft, wrong = self._drafts(settings)
        self._explain(
            "A new version of the contract, while the job runs",
            "Producers want to send the country, too. A field without a default would leave old messages unreadable:"
            " the registry refuses it, before anybody has sent one. With a default it is welcome. The next producer"
            " writes the new version, and the job learns it from the first message; nobody restarts anything.",
        )
        self._do(f"schema check ads_data --file {shlex.quote(str(wrong))}", code=1)
        self._do(f"schema register ads_data --file {shlex.quote(str(draft))}")
        self._do("produce ads --count 500 --rate 0 --ads 12")
        self._await_taken(settings)

    def _kill(self, settings: Settings) -> None:
        self._explain(
            "The job dies",
            "kill -9, in the middle of whatever it does, and events go on coming. Started again, it goes on from its"
            " checkpoint. A batch that was half written is written again, with the same values under the same keys.",
        )
        assert self._job is not None  # noqa: S101 - for the type checker
        self._do("produce ads --count 3000 --rate 0 --ads 12")
        self._prompt(f"kill -9 {self._job.pid}")
        self._job.kill()
        self._do("produce ads --count 1000 --rate 0 --ads 12")
        self._start_job()
        self._await_taken(settings)

    def _verify(self) -> None:
        self._explain(
            "Was it all right?",
            "An independent program computes every window and every total once more, from the raw topic, compares them"
            " with Cassandra cell by cell, and says of each offset what became of it.",
        )
        self._do(f"verify ad-metrics --checkpoint {self._checkpoint_word}")

    def _real_time(self, settings: Settings) -> None:
        self._explain(
            "Within the blink of an eye",
            "Rows came every two seconds. The same job in Spark's real-time mode sends a row with each event, by way of"
            " a topic. It needs a newer Spark, which is fetched now unless you have used this mode before. The job"
            " begins anew, as a checkpoint counts in one mode; then somebody clicks.",
        )
        assert self._job is not None  # noqa: S101 - for the type checker
        self._say("stopping the job, after its batch")
        self._job.stop()
        self._do(f"reset ad-metrics --checkpoint {self._checkpoint_word} --yes")
        self._start_job("--real-time --trigger 10s")
        clicks = Clicks(settings, self._topic)
        self._say(f"the first click waited for all before it: {clicks.until_its_row(FIRST_CLICK_SECONDS):.1f} s")
        for _ in range(CLICKS):
            self._say(f"a click, and its row {1_000 * clicks.until_its_row(CLICK_SECONDS):.0f} ms later")
        self._say(
            "a longer wait was the pause in which Spark commits, here every 10 s; docs/real-time.md has the figures"
        )

    def _what_next(self) -> None:
        self._out.print(
            "\nThat was the whole story. The services go on running; `adstream down` stops them. Next:\n"
            "  adstream jobs                      22 other questions that streams are asked\n"
            "  docs/make-it-yours.md              your own topic, contract, aggregate and table\n"
            "  docs/architecture.md               how it works inside",
        )

    @property
    def _checkpoint(self) -> Path:
        return Settings().checkpoints / self._topic

    @property
    def _checkpoint_word(self) -> str:
        """Return the checkpoint's folder as one word of a command, as a shell reads it."""
        return shlex.quote(str(self._checkpoint))

    def _drafts(self, settings: Settings) -> tuple[Path, Path]:
        """Write files with next versions of the contract: one that can read older messages, and one that cannot."""
        folder = settings.data_dir / "tour"
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for name, field in (
            ("country", {"name": "country", "type": ["null", "string"], "default": None}),
            ("country-required", {"name": "country", "type": "string"}),
        ):
            schema = contracts.latest("ads_data").schema
            schema["fields"].append(field)
            files.append(folder / f"{name}.avsc")
            files[-1].write_text(f"{json.dumps(schema, indent=2)}\n", encoding="utf-8")
        return files[0], files[1]

    def _start_job(self, how: str = "--trigger 2s") -> None:
        command = f"stream ad-metrics --checkpoint {self._checkpoint_word} {RULES} {how}"
        self._prompt(f"adstream {command}")
        self._job = RunningJob(shlex.split(command), lambda line: self._out.print(f"│ {line}", style="dim"))

    def _await_taken(self, settings: Settings) -> None:
        assert self._job is not None  # noqa: S101
        self._job.await_taken(settings, self._topic, self._checkpoint)

    def _explain(self, title: str, why: str) -> None:
        self._step += 1
        self._out.print(f"\n{self._step}/{STEPS} {title}", style="bold")
        self._out.print(Padding(why, (0, 0, 0, 2)), width=min(self._out.width, 100), soft_wrap=False)
        self._asked = False

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._out.print(f"  {line}")

    def _prompt(self, command: str) -> None:
        """Show the command; before the first one of a step wait for Enter."""
        self._out.print(f"\n$ {command}", style="cyan")
        if self._wait and not self._asked:
            try:
                self._out.input(parts(("Enter to go on, Ctrl-C to leave", "dim"), " "))
            except EOFError:
                raise KeyboardInterrupt from None
        self._asked = True

    def _do(self, command: str, *, code: int = 0) -> None:
        self._prompt(f"adstream {command}")
        # The background job prints too, so an answer is then printed whole.
        done = run_command(shlex.split(command), self._say, at_once=self._job is None)
        if done.code != code:
            raise JobFailed(f"`adstream {command}` failed", "its own line above says why; the tour ends here")

    def _quietly(self, command: str) -> str:
        return run_command(shlex.split(command), lambda _line: None, at_once=False).output
