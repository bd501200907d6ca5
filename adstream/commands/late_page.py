"""The page of `adstream show JOB --late`: late events by window and as a sum, and the lateness that keeps them."""

from typing import Any

from rich.console import Console
from rich.table import Table

from common.lateness import late_events
from common.lateness.delays import LONGEST_WAIT, SHARES, Delays, percentile, text, within_reach
from common.settings import Settings
from common.text.terminal import plain, print_whole


def show(settings: Settings, job: str, option: str, limit: int, out: Console) -> None:
    """Print the newest windows with late events, and the delay to set with the job's `option`."""
    found = late_events.read(settings.cassandra, job)
    if not found.events:
        out.print(plain(f"no event of {job} was late"))
        return
    table = Table(title=plain(f"late events of {job} by window, newest first", "table.title"), title_justify="left")
    table.add_column("window start", no_wrap=True)
    for name in ("late", *(f"{share} within" for share in SHARES.values())):
        table.add_column(name, justify="right", no_wrap=True)
    for start, delays in list(found.windows.items())[:limit]:
        table.add_row(f"{start:%Y-%m-%d %H:%M:%S}", f"{sum(delays.values()):,}", *_kept(delays))
    print_whole(out, table)
    if len(found.windows) > limit:
        out.print(f"{len(found.windows):,} windows in all: --limit shows more")
    lines = [f"{found.events:,} events were late{_advice(found.delays, option)}"]
    lines.append(f"the option is `adstream stream {job} --{option}`, fixed when a checkpoint is made")
    if beyond := within_reach(found.delays)[1]:
        lines.append(
            f"late in windows by more than {text(LONGEST_WAIT)}: {beyond:,}, by a wrong clock or unit of time, and no"
            f" {option} is a remedy; the advice leaves them aside"
        )
    if found.others:
        lines.append(f"other checkpoints of the job counted {found.others:,} late events, which are not in this")
    if not found.complete:
        lines.append(f"only the newest {late_events.MOST_ROWS:,} rows were read")
    for line in lines:
        out.print(plain(line), soft_wrap=True)


def document(settings: Settings, job: str, option: str, limit: int) -> dict[str, Any]:
    """Return the same facts for scripts: delays in seconds, by the share of late events that they would have kept."""
    found = late_events.read(settings.cassandra, job)
    windows = [
        {"window_start": start, "events": sum(delays.values()), "kept_within_seconds": _within(delays)}
        for start, delays in list(found.windows.items())[:limit]
    ]
    return {
        "job": job,
        "option": option,
        "events": found.events,
        "kept_within_seconds": _within(found.delays),
        "beyond_reach": within_reach(found.delays)[1],
        "windows": windows,
        "windows_in_all": len(found.windows),
        "events_of_other_checkpoints": found.others,
        "complete": found.complete,
    }


def _advice(delays: Delays, option: str) -> str:
    if not within_reach(delays)[0]:
        return ""
    (shortest, share), *longer = zip(_kept(delays), SHARES.values(), strict=True)
    more = "".join(f", {delay} {larger}" for delay, larger in longer)
    return f"; a {option} of {shortest} would have kept {share}{more} of them"


def _within(delays: Delays) -> dict[str, int]:
    near, _ = within_reach(delays)
    names = {per_mille: f"p{per_mille / 10:g}".replace(".", "") for per_mille in SHARES}
    return {names[per_mille]: percentile(near, per_mille) for per_mille in SHARES} if near else {}


def _kept(delays: Delays) -> list[str]:
    near, _ = within_reach(delays)
    return [text(percentile(near, per_mille)) if near else "-" for per_mille in SHARES]
