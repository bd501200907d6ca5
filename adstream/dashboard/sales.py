"""The page of the sales: per hour and product, the best three of each half hour, and the orders."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import streamlit as st

from adstream.dashboard import elements, resources, statements
from adstream.dashboard.store import Row

_RUN = ("adstream produce sales --rate 20", "adstream stream hourly-sales", "adstream stream top-products")
_ORDERS = ("adstream produce orders --rate 20", "adstream stream order-values")
# The windows of top-products begin at each half hour, unless it runs with another --window.
HALF_HOUR = timedelta(minutes=30)
_RANKINGS = 3


def page() -> None:
    """Draw the page of the sales."""
    st.header("Sales")
    _sales()


@st.fragment(run_every=elements.REFRESH_SECONDS)
def _sales() -> None:
    _, right = st.columns([5, 2])
    with right:
        asked = elements.chosen_day("sales-day")
    with elements.service(), elements.loading("sales"):
        hours = elements.newest_day_of(statements.HOURLY_SALES, asked)
        rankings = _rankings(asked)
        if hours is None and not rankings:
            elements.nothing_yet("No sales in that time", *_RUN)
        if hours is not None:
            elements.stacked(hours.rows, "window_start", "total_sales", "product_id", f"Sales per hour on {hours.day}")
        if rankings:
            _show_rankings(rankings)
        orders = elements.newest_day_of(statements.ORDER_VALUES, asked)
        if orders is None:
            elements.nothing_yet("No orders in that time", *_ORDERS)
            return
        st.markdown(f"**Orders per hour on {orders.day}**")
        elements.table(
            [
                {
                    "from (UTC)": row["window_start"],
                    "to": f"{row['window_end']:%H:%M:%S}",
                    "orders": row["orders"],
                    "average value": row["average_order_value"],
                }
                for row in orders.rows
            ],
            key="orders",
        )


def half_hours(newest: datetime) -> list[datetime]:
    """Return the starts of the windows of the day that ends with `newest`, newest first."""
    last = newest.replace(minute=newest.minute // 30 * 30, second=0, microsecond=0)
    return [last - HALF_HOUR * back for back in range(48)]


def _rankings(asked: date | None) -> list[list[Row]]:
    """Return the newest windows with a ranking: of the requested day, else of the last 24 hours."""
    end = datetime.combine(asked, datetime.max.time()) if asked else datetime.now(UTC).replace(tzinfo=None) + HALF_HOUR
    found = resources.store().rows(statements.TOP_PRODUCTS, [(start,) for start in half_hours(end)])
    return [rows for rows in found if rows][:_RANKINGS]


def _show_rankings(rankings: Sequence[list[Row]]) -> None:
    st.markdown("**The best three products of each half hour (UTC)**")
    for column, rows in zip(st.columns(_RANKINGS), rankings, strict=False):
        with column:
            st.caption(f"{elements.moment(rows[0]['window_start'])} to {rows[0]['window_end']:%H:%M}")
            elements.table(
                [{"rank": row["rank"], "product": row["product_id"], "sales": row["total_sales"]} for row in rows],
                key=f"top-{rows[0]['window_start']:%Y%m%dT%H%M%S}",
            )
