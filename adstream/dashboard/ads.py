"""The page of the ads: the top ads now, and the figures of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import streamlit as st

from adstream.dashboard import elements, resources, statements
from adstream.dashboard.store import Row, Store
from common.text.shown import shown

TOP = 10
# An ad's chart goes back this far. A requested day is shown whole.
SPANS = {"1 hour": timedelta(hours=1), "6 hours": timedelta(hours=6), "24 hours": timedelta(hours=24)}
_RUN = ("adstream produce ads --rate 500", "adstream stream ad-metrics")


@dataclass(frozen=True)
class Ranking:
    """One window of the active ads: the newest that has ended. `rows` are the ads with the highest cost."""

    start: datetime
    end: datetime
    ads: int
    clicks: int
    views: int
    cost: Decimal
    rows: list[Row]


def ranking(windows: Sequence[Row], now: datetime) -> Ranking | None:
    """Return the ranking of rows of `ad_metrics_by_window` (times UTC without a zone); None without any."""
    ended = [row for row in windows if row["window_end"] <= now.replace(tzinfo=None)]
    if not windows:
        return None
    start = max(row["window_start"] for row in ended or windows)
    rows = [row for row in windows if row["window_start"] == start]
    return Ranking(
        start=start,
        end=rows[0]["window_end"],
        ads=len(rows),
        clicks=sum(row["total_clicks"] for row in rows),
        views=sum(row["total_views"] for row in rows),
        cost=sum((row["total_cost"] for row in rows), Decimal(0)),
        rows=sorted(rows, key=lambda row: (-row["total_cost"], row["ad_id"]))[:TOP],
    )


def page() -> None:
    """Draw the page of the ads."""
    st.header("Ads")
    _now()
    _one_ad()


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _now() -> None:
    ads = elements.active("ads")
    if not ads:
        elements.nothing_yet("No ad has sent an event yet", _RUN[0])
        return
    with elements.service(), elements.loading("ads"):
        now = datetime.now(UTC)
        top = ranking(newest_windows(resources.store(), ads, now.replace(tzinfo=None)), now)
        if top is None:
            elements.nothing_yet("Events are there, and nothing has counted them in the last two days", _RUN[1])
            return
        totals = resources.store().rows(statements.AD_TOTALS, [(row["ad_id"],) for row in top.rows])
        _show(top, {rows[0]["ad_id"]: rows[0] for rows in totals if rows})


def newest_windows(store: Store, ads: Sequence[str], now: datetime) -> list[Row]:
    """Return the newest window of each ad that has ended by `now` (UTC without a zone), of today or the day before.

    Returns the newest window of each that has begun, if none has ended. However many windows are open at once, an ad
    costs four rows at most: its newest window tells how long before `now` a window must begin to have ended.
    """
    begun = _begun_by(store, dict.fromkeys(ads, now))
    ended = _begun_by(store, {ad: now - (row["window_end"] - row["window_start"]) for ad, row in begun.items()})
    return list((ended or begun).values())


def _begun_by(store: Store, times: Mapping[str, datetime]) -> dict[str, Row]:
    """Return by ad the newest window that begins by the ad's time, on the day of that time or the day before."""
    found: dict[str, Row] = {}
    for back in (timedelta(), timedelta(days=1)):
        asked = [(ad, time.date() - back, time) for ad, time in times.items() if ad not in found]
        found |= {rows[0]["ad_id"]: rows[0] for rows in store.rows(statements.AD_WINDOW_BY, asked) if rows}
    return found


def _show(top: Ranking, totals: dict[str, Row]) -> None:
    st.caption(
        f"The window {elements.moment(top.start)} to {top.end:%H:%M:%S} UTC, which ended {elements.ago(top.end)}: "
        f"the sums are over the {top.ads} ads that are active now"
    )
    elements.figures(
        {
            "Clicks": top.clicks,
            "Views": top.views,
            "Cost": top.cost,
            "Cost per view": elements.per_view(top.cost, top.views),
        }
    )
    left, right = st.columns([2, 3])
    with left:
        elements.bars(top.rows, "total_cost", "ad_id", "Cost in this window")
    with right:
        st.markdown("**Top ads now, and in all**")
        elements.table([_ranked(row, totals.get(row["ad_id"])) for row in top.rows], key="top-ads")


def _ranked(row: Row, total: Row | None) -> dict[str, object]:
    return {
        "ad": row["ad_id"],
        "clicks": row["total_clicks"],
        "views": row["total_views"],
        "cost": row["total_cost"],
        "clicks in all": total["total_clicks"] if total else None,
        "views in all": total["total_views"] if total else None,
        "cost in all": total["total_cost"] if total else None,
    }


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _one_ad() -> None:
    st.subheader("One ad")
    known = resources.keys("ads").seen
    choice, span, day = st.columns([3, 2, 2])
    with choice:
        ad = st.selectbox(
            "Ad", known, key="ad", accept_new_options=True, bind="query-params", format_func=shown,
            help="Choose one, or type its id.",
        )  # fmt: skip
    with span:
        back = SPANS[st.selectbox("Newest", list(SPANS), key="span") or next(iter(SPANS))]
    with day:
        asked = elements.chosen_day("ad-day")
    if not ad:
        return
    with elements.service(), elements.loading("an ad"):
        totals = resources.store().rows(statements.AD_TOTALS, [(ad,)])[0]
        windows = _history(ad, asked, back)
        if not totals and not windows:
            st.info(f"Nothing is stored for ad {elements.literal(ad)}: see the list for ads that there are.")
            return
        _show_ad(totals[0] if totals else None, windows)


def _history(ad: str, asked: date | None, back: timedelta) -> list[Row]:
    """Return windows, newest first: all of the requested day, else the newest ones of the last days."""
    store = resources.store()
    if asked is not None:
        return store.rows(statements.AD_WINDOWS, [(ad, asked)])[0]
    newest = [
        row["window_start"]
        for rows in store.rows(statements.NEWEST_AD_WINDOW, [(ad, day) for day in elements.days(None)])
        for row in rows
    ]
    if not newest:
        return []
    since = max(newest) - back
    days = dict.fromkeys((max(newest).date(), since.date()))
    found = store.rows(statements.AD_WINDOWS_SINCE, [(ad, day, since) for day in days])
    return [row for rows in found for row in rows]


def _show_ad(total: Row | None, windows: Sequence[Row]) -> None:
    if total:
        elements.figures(
            {
                "Clicks in all": total["total_clicks"],
                "Views in all": total["total_views"],
                "Cost in all": total["total_cost"],
                "Cost per view in all": total["avg_cost_per_view"],
            }
        )
        st.caption(f"Last written {elements.moment(total['last_updated'])} UTC, {elements.ago(total['last_updated'])}")
    charts = {"total_clicks": "Clicks", "total_views": "Views", "avg_cost_per_view": "Cost per view"}
    for column, (name, title) in zip(st.columns(len(charts)), charts.items(), strict=True):
        with column:
            elements.lines(windows, "window_start", name, f"{title} by window")
    with st.expander(f"{len(windows):,} windows, newest first"):
        elements.table(
            [
                {
                    "from (UTC)": row["window_start"],
                    "to": f"{row['window_end']:%H:%M:%S}",
                    "clicks": row["total_clicks"],
                    "views": row["total_views"],
                    "cost": row["total_cost"],
                    "cost per view": row["avg_cost_per_view"],
                }
                for row in windows
            ],
            key="windows",
            empty="No window of that time.",
        )
