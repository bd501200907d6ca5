"""`make docs`: the tables of options in docs/patterns, as `adstream stream JOB --help` shows them."""

from pathlib import Path
from typing import TYPE_CHECKING

from adstream.commands.job_options import of_job, options_of
from adstream.commands.stream import stream

if TYPE_CHECKING:
    from typer.core import TyperOption

    from streaming.job import Job

BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
PAGES = Path(__file__).parents[2] / "docs" / "patterns"


def table(job: "Job") -> list[str]:
    """Return the lines of the job's table, in Markdown; none for a job without its own options."""
    rows = [_row(job, each) for each in options_of(of_job(stream, job))]
    return ["| option | default | meaning |", "|---|---|---|", *rows] if rows else []


def with_table(page: str, job: "Job") -> str:
    """Return the page with the job's table between its marks. A page without marks stays unchanged."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    lines = "".join(f"{line}\n" for line in table(job))
    return f"{before}{begin}\n{lines}{end}{after}" if begin and end else page


def write(pages: Path = PAGES) -> None:
    """Bring the page of every job up to date."""
    from streaming.jobs import JOBS

    for job in JOBS.values():
        page = pages / f"{job.name}.md"
        if page.exists():
            page.write_text(with_table(page.read_text(encoding="utf-8"), job), encoding="utf-8")


def _row(job: "Job", option: "TyperOption") -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    declared = job.declared.get(option.name)
    default = option.show_default if isinstance(option.show_default, str) else "off"
    return f"| {names} | `{declared.default_text if declared else default}` | {option.help} |"


if __name__ == "__main__":
    write()
