"""One system for all tests of a module: real services, a job, the dashboard, and a browser."""

from collections.abc import Iterator

import pytest

from common.cassandra.session import connect
from common.settings import Settings
from tests.browser.ad_events import EVENTS, produce
from tests.browser.browser import Browser, opened, require_browser
from tests.browser.tables import Tables
from tests.e2e.commands import free_port, started
from tests.e2e.pipeline import AD_TABLES, Pipeline, make_tables, prepared
from tests.e2e.running_job import Job, running_job

TABLES = (
    *AD_TABLES, "sensor_averages", "hourly_sales", "top_products", "order_values", "rack_temperatures", "rack_alerts",
)  # fmt: skip


@pytest.fixture(scope="module")
def system(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Topics, schemas, keyspace and tables of this module's own. Nothing has been sent yet."""
    with pytest.MonkeyPatch.context() as patch:
        settings = prepared(patch)
        make_tables(settings, TABLES)
        yield Pipeline(settings, tmp_path_factory.mktemp("job") / "checkpoint")


@pytest.fixture(scope="module")
def tables(system: Pipeline) -> Iterator[Tables]:
    cassandra = system.settings.cassandra
    with connect(cassandra, keyspace=cassandra.keyspace) as session:
        yield Tables(session)


@pytest.fixture(scope="module")
def browser(system: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require_browser()
    port = free_port()
    with started("dashboard", "--port", str(port)) as running:
        line = running.stdout.readline() if running.stdout else ""
        assert line == f"The dashboard is at http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        with opened(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("profile")) as browser:
            yield browser


@pytest.fixture(scope="module")
def begun(system: Pipeline) -> Iterator[Job]:
    """ad-metrics over events of the last minutes. It starts while tests look at other pages."""
    produce(system)
    with running_job(system, most_events=600) as job:
        yield job


@pytest.fixture(scope="module")
def job(begun: Job) -> Job:
    """The job after it has processed all events. It goes on running."""
    begun.await_events(EVENTS)
    return begun
