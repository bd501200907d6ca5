"""The sink against a real Cassandra: acknowledged rows exist, and failures are reported."""

import secrets
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import pyarrow as pa
import pytest
from cassandra.cluster import Session
from cassandra.util import Date

from common.bookkeeping import leases
from common.cassandra.session import connect
from common.errors import MigrationError, SinkError
from common.settings import CassandraSettings, Settings
from stack import local
from streaming.sinks.cassandra_rows import RowWriter, Table, write_rows
from streaming.sinks.tables import layouts_of
from tests.e2e.pipeline import make_ad_tables
from tests.faults.services import process

SUMS = ("total_clicks", "total_views", "total_cost", "avg_cost_per_view")
TOTALS = Table("ad_metrics", ("ad_id", *SUMS, "last_updated"))
WINDOWS = Table("ad_metrics_by_window", ("ad_id", "day", "window_start", "window_end", *SUMS, "last_updated"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[CassandraSettings]:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_KEYSPACE", f"sink_{secrets.token_hex(4)}")
    settings = Settings()
    make_ad_tables(settings)
    yield settings.cassandra
    with connect(settings.cassandra) as session:
        session.execute(f"DROP KEYSPACE {settings.cassandra.keyspace}", timeout=30)


@pytest.fixture
def session(settings: CassandraSettings) -> Iterator[Session]:
    with connect(settings, keyspace=settings.keyspace) as session:
        yield session


def total(number: int, average: Decimal | None = Decimal("0.000001")) -> tuple[object, ...]:
    return (f"ad-{number:05}", number, number + 1, Decimal(number).scaleb(-6), average, NOON)


def test_no_part_of_a_request_waits_for_the_part_before(settings: CassandraSettings, session: Session) -> None:
    # The driver sends a large batch in pieces, and Linux would hold the last piece back for 40 ms.
    assert write_rows(settings, TOTALS, (total(number) for number in range(100))) == 100
    connections = [pool._connection for pool in session.get_pools()]
    sockets = [each._socket for each in (*connections, session.cluster.control_connection._connection)]
    assert len(sockets) > 1
    assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets] == [1] * len(sockets)


def test_a_column_that_no_table_has_is_refused(settings: CassandraSettings) -> None:
    columns = [*TOTALS.columns, "surplus"]
    with pytest.raises(MigrationError, match=r"^ad_metrics has no column surplus, which the job computes"):
        layouts_of(settings, {None: "ad_metrics"}, columns)


def test_rows_of_two_tables_are_read_back_exactly(settings: CassandraSettings, session: Session) -> None:
    cost = Decimal("1234567890123456789.123456")
    writer = RowWriter(settings)
    for number in range(1_000):
        writer.add(TOTALS, total(number))
        start = NOON + number * timedelta(seconds=30)
        writer.add(WINDOWS, ("ad-é", date(2026, 1, 1), start, start + timedelta(minutes=1), 2**62, 0, cost, None, NOON))
    assert writer.finish() == 2_000

    totals = {row.ad_id: row for row in session.execute("SELECT * FROM ad_metrics")}
    assert len(totals) == 1_000
    row = totals["ad-00999"]
    assert (row.total_clicks, row.total_views) == (999, 1_000)
    assert str(row.total_cost) == "0.000999"
    assert str(row.avg_cost_per_view) == "0.000001"
    assert row.last_updated.replace(tzinfo=UTC) == NOON

    windows = list(
        session.execute(
            "SELECT * FROM ad_metrics_by_window WHERE ad_id = %s AND day = %s", ("ad-é", Date("2026-01-01"))
        )
    )
    starts = [window.window_start.replace(tzinfo=UTC) for window in windows]
    assert starts == [NOON + number * timedelta(seconds=30) for number in reversed(range(1_000))]
    for window in windows:
        assert window.window_end - window.window_start == timedelta(minutes=1)
        assert (window.total_clicks, window.total_views, window.total_cost) == (2**62, 0, cost)
        assert window.avg_cost_per_view is None


def test_columns_are_read_back_exactly(settings: CassandraSettings, session: Session) -> None:
    ads = [f"ad-{number:05}" for number in range(2_500)]
    starts = [NOON + number * timedelta(seconds=30, microseconds=1_500) for number in range(len(ads))]
    costs = [Decimal(number * 10**15 - 10**17).scaleb(-6) for number in range(len(ads))]
    averages = [None if number % 3 else Decimal(number).scaleb(-6) for number in range(len(ads))]
    times = pa.array(starts, pa.timestamp("us", "UTC"))
    numbers = pa.array(range(len(ads)), pa.int64())
    money = pa.decimal128(38, 6)
    writer = RowWriter(settings)
    writer.add_columns(
        WINDOWS,
        [pa.array(ads), times, times, times, numbers, numbers, pa.array(costs, money), pa.array(averages, money), NOON],
    )
    assert writer.finish() == len(ads)
    rows = sorted(session.execute("SELECT * FROM ad_metrics_by_window"), key=lambda row: row.ad_id)
    assert [row.ad_id for row in rows] == ads
    assert [row.day.date() for row in rows] == [start.date() for start in starts]
    cut = [start - timedelta(microseconds=start.microsecond % 1_000) for start in starts]
    assert [row.window_start.replace(tzinfo=UTC) for row in rows] == cut
    assert [row.total_clicks for row in rows] == list(range(len(ads)))
    assert [str(row.total_cost) for row in rows] == [str(cost) for cost in costs]
    assert [row.avg_cost_per_view for row in rows] == averages
    assert {row.last_updated.replace(tzinfo=UTC) for row in rows} == {NOON}


def test_a_statement_that_the_server_has_forgotten_is_prepared_anew(
    settings: CassandraSettings, session: Session
) -> None:
    writer = RowWriter(settings)
    writer.add(TOTALS, total(1))
    assert writer.finish() == 1
    session.execute("ALTER TABLE ad_metrics ADD note text", timeout=30)
    writer.add(TOTALS, total(2))
    assert writer.finish() == 1
    assert session.execute("SELECT count(*) FROM ad_metrics").one()[0] == 2


def test_none_leaves_a_column_as_it_is(settings: CassandraSettings, session: Session) -> None:
    write_rows(settings, TOTALS, [total(1)])
    write_rows(settings, TOTALS, [total(1, average=None)])
    assert session.execute("SELECT avg_cost_per_view FROM ad_metrics").one()[0] == Decimal("0.000001")


def test_a_batch_that_comes_again_changes_nothing(settings: CassandraSettings, session: Session) -> None:
    rows = [total(number) for number in range(100)]
    write_rows(settings, TOTALS, rows)
    before = list(session.execute("SELECT * FROM ad_metrics"))
    write_rows(settings, TOTALS, rows)
    assert list(session.execute("SELECT * FROM ad_metrics")) == before


def test_rows_larger_than_a_batch_may_be_are_written(settings: CassandraSettings, session: Session) -> None:
    rows = [(f"{number}" + "x" * 60_000, *total(number)[1:]) for number in range(5)]
    assert write_rows(settings, TOTALS, rows) == 5
    assert session.execute("SELECT count(*) FROM ad_metrics").one()[0] == 5


def test_many_narrow_rows_stay_under_the_size_that_cassandra_refuses(
    settings: CassandraSettings, session: Session
) -> None:
    writer = RowWriter(settings, batch_rows=10_000)
    for number in range(2_000):
        writer.add(TOTALS, total(number))
    assert writer.finish() == 2_000
    assert session.execute("SELECT count(*) FROM ad_metrics").one()[0] == 2_000


def test_a_table_that_is_gone_fails_the_write(settings: CassandraSettings, session: Session) -> None:
    writer = RowWriter(settings)
    writer.add(TOTALS, total(1))
    writer.finish()
    session.execute("DROP TABLE ad_metrics", timeout=30)
    writer.add(TOTALS, total(2))
    with pytest.raises(SinkError, match=r"rows for sink_\w+\.ad_metrics were not written: .*; .*adstream migrate"):
        writer.finish()
    with pytest.raises(SinkError, match="adstream migrate"):
        write_rows(settings, TOTALS, [total(3)])


def test_a_key_that_cassandra_refuses_fails_the_write(settings: CassandraSettings, session: Session) -> None:
    with pytest.raises(SinkError, match=r"were not written: Cassandra says: .*[Kk]ey"):
        write_rows(settings, TOTALS, [("", *total(1)[1:])])


def test_a_node_killed_under_writes_fails_them_and_the_next_writer_goes_on(
    settings: CassandraSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTREAM_CASSANDRA_TIMEOUT_SECONDS", "3")
    impatient = Settings().cassandra
    writer = RowWriter(impatient)

    def write_through_a_kill() -> None:
        for number in range(1_000_000):
            writer.add(TOTALS, total(number))
            if number == 5_000:
                process(Settings(), "cassandra").send_signal(signal.SIGKILL)
        writer.finish()

    try:
        with pytest.raises(SinkError, match=r"rows for sink_\w+\.ad_metrics were not written: .*Cassandra"):
            write_through_a_kill()
    finally:
        local.up(Settings(), report=print)
    assert write_rows(settings, TOTALS, [total(number) for number in range(5_000)]) == 5_000
    with connect(settings, keyspace=settings.keyspace) as session:
        found = {row.ad_id for row in session.execute("SELECT ad_id FROM ad_metrics")}
    assert {f"ad-{number:05}" for number in range(5_000)} <= found


def test_an_earlier_writer_that_comes_back_overwrites_nothing(settings: CassandraSettings, session: Session) -> None:
    old, new = leases.take(settings, "a-job"), leases.take(settings, "a-job")
    assert new - old >= leases.BATCHES
    assert new >= leases.now_micros() - 60_000_000
    for timestamp, clicks in ((new, 2), (old + leases.BATCHES - 1, 1)):
        writer = RowWriter(settings, timestamp=timestamp)
        writer.add(TOTALS, ("ad-stale", clicks, 1, Decimal(1), None, NOON))
        writer.finish()
    query = "SELECT total_clicks, writetime(total_clicks) AS at FROM ad_metrics WHERE ad_id = 'ad-stale'"
    found = session.execute(query)
    assert tuple(found.one()) == (2, new)


def test_leases_grow_although_a_clock_goes_back_and_many_take_them_at_once(settings: CassandraSettings) -> None:
    ahead = leases.take(settings, "another-job", clock=lambda: leases.now_micros() + 3_600_000_000)
    assert leases.take(settings, "another-job") == ahead + leases.BATCHES

    together = Barrier(3, timeout=30)

    def take(job: str) -> int:
        together.wait()
        return leases.take(settings, job, clock=lambda: 0)  # so that all callers ask for the same number

    with ThreadPoolExecutor(3) as pool:
        for job in ("third-job", "fourth-job", "fifth-job", "third-job"):
            taken = list(pool.map(take, [job] * 3))
            assert len(set(taken)) == 3, f"{job}: two writers hold one lease: {taken}"
