"""The page of the pipeline: the state of the running jobs, and the dead letters down to their bytes."""

from collections import Counter
from datetime import UTC, datetime

import streamlit as st

from adstream.dashboard import elements, health, resources
from adstream.dead_letters.dead_letter_pages import advice, reading
from adstream.dead_letters.letters import Letter
from common.settings import Settings
from common.system.running import running_jobs
from common.text.shown import shown
from consumer.display import printable, text_or_hex

_RUN = "adstream stream ad-metrics"
_MOST_BYTES = 512
# Messages up to this size are read again, field by field.
_LARGEST_READ = 65_536
_LETTERS_SHOWN = 50
_NOT_COUNTED = "ADSTREAM_SPARK_COUNT_STATE_ROWS=true would count the rows of state"


def page() -> None:
    """Draw the page of the pipeline."""
    st.header("Pipeline")
    _jobs()
    _letters()


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _jobs() -> None:
    jobs = running_jobs(Settings())
    if not jobs:
        elements.nothing_yet("No job runs on this machine", _RUN)
        return
    name = jobs[0].job
    if len(jobs) > 1:
        name = st.selectbox("Job", [job.job for job in jobs], key="job", bind="query-params", format_func=shown) or name
    chosen = next((job for job in jobs if job.job == name), jobs[0])
    with elements.service():
        _show(health.ask(chosen))


def _show(found: health.Health) -> None:
    named = f"**{elements.literal(found.job)}** over {elements.literal(found.source)}"
    since = f"running since {elements.moment(found.started)} UTC, {found.restarts} restarts"
    if found.ready:
        st.success(f"{named}: up to date with its batches, {since}.")
    else:
        st.warning(f"{named}: {elements.literal(found.reason)}; {since}.")
    if found.freshness:
        old = found.freshness[-1]["seconds"]
        title = f"Freshness: the newest event in the tables is {old:,.1f} s old"
        elements.lines(found.freshness, "at", "seconds", title)
    if not found.batches:
        st.info("No batch yet: the first one comes when events do, and Spark takes some seconds to warm up.")
        return
    newest, sums = found.batches[-1], found.sums()
    watermark = newest["watermark"]
    elements.figures(
        {
            "Input, events/s": newest["input_rate"],
            "Processed, events/s": newest["processed_rate"],
            "Lag, events": found.lag,
            "Batch time, s": newest["seconds"],
            "Watermark": f"{watermark:%H:%M:%S}" if watermark else None,
            "State, MB": found.over_time()[-1]["state_mb"],
        }
    )
    behind = f"the watermark is {elements.ago(watermark)}" if watermark else "no watermark yet"
    rows = f"{newest['state_rows']:,} rows of state" if newest["state_rows"] is not None else _NOT_COUNTED
    st.caption(f"Batch {newest['batch_id']}, committed {elements.ago(newest['at'])}; {behind}; {rows}")
    _charts(found)
    title = f"Of {sums['events']:,} events in the last {len(found.batches):,} batches"
    st.markdown(f"**{title}**")
    elements.figures({"Late": sums["late"], "Duplicates": sums["duplicates"], "Dead letters": sums["dead"]})
    left, right = st.columns(2)
    with left:
        st.markdown("**Partitions**")
        elements.table(
            [
                {
                    "partition": int(partition),
                    "read to": at["end"],
                    "newest": at["latest"],
                    "lag": at["lag"],
                    "held back": at.get("held_back", 0),
                }
                for partition, at in sorted(found.partitions.items(), key=lambda each: int(each[0]))
            ],
            key="partitions",
        )
    with right:
        st.markdown("**Dead letters of these batches by reason**")
        elements.table(
            [{"reason": reason, "letters": count} for reason, count in found.dead_by_reason()],
            key="dead-by-reason",
            empty="None.",
        )


def _charts(found: health.Health) -> None:
    rows = found.over_time()
    rates = [
        {"at": row["at"], "events": row[f"{name}_rate"], "rate": name}
        for row in rows
        for name in ("input", "processed")
    ]
    first, second, third = st.columns(3)
    with first:
        elements.lines(rates, "at", "events", "Events per second", by="rate", zero=True)
    with second:
        elements.lines(rows, "at", "seconds", "Batch time, s")
    with third:
        elements.lines(rows, "at", "lag", "Lag, events")
    first, second, third = st.columns(3)
    with first:
        elements.lines(rows, "at", "behind", "From the watermark to the batch, s")
    with second:
        elements.lines(rows, "at", "state_mb", "Memory of state, MB")
    with third:
        elements.lines(rows, "at", "sink_seconds", "Writing to Cassandra, s")


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _letters() -> None:
    st.subheader("Dead letters")
    with elements.service(), elements.loading("dead letters"):
        letters = resources.letters()()
        if not letters:
            st.info("No dead letters: every message could be used.")
            return
        counts = Counter(letter.reason for letter in letters)
        st.caption(f"The newest {len(letters):,}; all of them: `adstream dead-letters list`")
        left, right = st.columns([2, 3])
        with left:
            elements.table([{"reason": name, "letters": count} for name, count in counts.most_common()], key="reasons")
        with right:
            elements.table([_row(letter) for letter in letters[:_LETTERS_SHOWN]], key="letters")
        by_place = {str(letter.place): letter for letter in letters}
        place = st.selectbox(
            "Look into one", list(by_place), index=None, key="letter", placeholder="topic/partition/offset",
            format_func=shown,
        )  # fmt: skip
        if place in by_place:
            _look_into(by_place[place])


def _row(letter: Letter) -> dict[str, object]:
    return {
        "place": str(letter.place),
        "reason": letter.reason,
        "broker time (UTC)": letter.timestamp,
        "schema id": letter.schema_id,
        "bytes": letter.size,
    }


def _look_into(letter: Letter) -> None:
    lines = [
        f"{'place':<12} {letter.place}",
        f"{'reason':<12} {letter.reason} (job {letter.job or 'unknown'})",
        f"{'broker time':<12} {elements.moment(letter.timestamp)} UTC",
        f"{'key':<12} {printable(text_or_hex(letter.key))}",
    ]
    command = f"adstream dead-letters explain {letter.place}"
    if letter.size > _LARGEST_READ:
        st.info(elements.with_commands(f"{letter.size:,} bytes are too many for a page: `{command}` shows them."))
        return
    reader, diagnose = resources.checker().of(letter)
    found = diagnose(letter.value, letter.headers, int(datetime.now(UTC).timestamp() * 1_000))
    st.code("\n".join([*map(shown, lines), *reading(letter, found, reader, _MOST_BYTES)]), language=None)
    st.markdown(f"What to do: {elements.with_commands(advice(letter, found, None))}")
    st.caption(elements.with_commands(f"With its headers, and whether it was sent back: `{command}`"))
