"""Runs all benchmarks but the soak and the day: `make bench`.

Each runs in a process of its own, in the order of importance. If one fails, the others still run, and the exit code
reports the failure. Arguments name the benchmarks to run: `python -m benchmarks sink`.
"""

import subprocess
import sys

from benchmarks import page

ORDER = (
    *("throughput", "latency", "triggers", "rates", "state", "startup", "sink", "many_ads", "dashboard"),
    *("verify", "dead_letters", "daily_sales", "scaling", "cluster"),
)


def main(names: list[str]) -> None:
    failed = []
    for name in names or ORDER:
        print(f"\nbenchmarks.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    print(f"\nresults: {page.PAGE}, with the single runs in results/ and the plots in images/ beside it")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
