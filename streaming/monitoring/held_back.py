"""Messages that open transactions hold back from a running job.

Spark asks for the last stable offset only. So a job at the end of its topic seems to have counted everything. But an
open transaction holds back its own messages and all messages behind them. The job therefore also asks Kafka for the
high watermark: after each batch, and regularly while no batch comes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from common.errors import AdstreamError
from common.kafka.topic_ends import Ends, TopicEnds, held_back
from common.settings import READ_COMMITTED, Settings

ASK_EVERY_SECONDS = 5.0
# Longer than a transaction's default timeout (the producers' transaction.timeout.ms, a minute).
TOO_LONG_SECONDS = 75.0
# The job waits this long for the answer: a broker that is down must not stop its batches.
_PATIENCE_SECONDS = 2.0
_AFTER_A_FAILURE_SECONDS = 30.0


@dataclass(frozen=True)
class Held:
    """Held-back messages of one partition: the `messages` from offset `stable` on, and how long that offset has not
    moved."""

    stable: int
    messages: int
    seconds: float


class HeldBack:
    """Held-back messages of one topic.

    `told` gets their number after each question to Kafka. `notice` gets a line about a long transaction.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        told: Callable[[Mapping[int, Held]], None],
        notice: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings, self._topic = settings, topic
        self._told, self._notice, self._clock = told, notice, clock
        self._ask: Callable[[], Mapping[int, Ends]] | None = None
        self._next = 0.0
        # Partition -> the stable offset with waiting messages behind it, and since when.
        self._since: dict[int, tuple[int, float]] = {}
        self._noticed: set[tuple[int, int]] = set()

    def ends(self) -> Mapping[int, Ends]:
        """Return the ends of the partitions; empty if Kafka does not answer at once, or the job reads all messages."""
        if self._settings.kafka.isolation_level != READ_COMMITTED:
            return {}
        now = self._clock()
        if self._ask is None and now < self._next:
            return {}  # Kafka failed to answer a moment ago
        try:
            self._ask = self._ask or TopicEnds(self._impatient(), self._topic)
            ends = self._ask()
        except AdstreamError:
            self._ask, self._next = None, now + _AFTER_A_FAILURE_SECONDS
            return {}
        self._next = now + ASK_EVERY_SECONDS
        self.saw(ends)
        return ends

    def idle(self) -> None:
        """Ask Kafka again, if the last question is long enough ago."""
        if self._clock() >= self._next:
            self.ends()

    def at_the_end(self) -> None:
        """Report the messages held back at the end of a run to the end of the topic."""
        if count := held_back(self.ends()):
            self._notice(f"{count:,} messages of {self._topic} are held back by open transactions: not counted yet")

    def saw(self, ends: Mapping[int, Ends]) -> None:
        """Take an answer of Kafka."""
        now = self._clock()
        found = {}
        for partition, at in ends.items():
            if not at.held_back:
                self._since.pop(partition, None)
            elif self._since.get(partition, (-1, now))[0] != at.stable:
                self._since[partition] = (at.stable, now)
            seconds = now - self._since.get(partition, (at.stable, now))[1]
            found[partition] = Held(at.stable, at.held_back, seconds)
            place = partition, at.stable
            if seconds > TOO_LONG_SECONDS and place not in self._noticed:
                self._noticed = {each for each in self._noticed if each[0] != partition} | {place}
                self._notice(
                    f"{self._topic}/{partition}/{at.stable}: a transaction is open for more than {seconds:.0f} s, and"
                    f" holds back {at.held_back:,} messages; they are counted once it is committed or aborted"
                )
        self._told(found)

    def _impatient(self) -> Settings:
        return self._settings.with_kafka(timeout_seconds=min(_PATIENCE_SECONDS, self._settings.kafka.timeout_seconds))
