"""A user's total that starts again after a pause, by arbitrary state that goes away when the user does.

The pause is found by comparing the event times of the rows themselves. A timer could not find it: timers fire after a
batch's rows, so the row that ends the pause would still be added to the old total.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pyspark.sql import DataFrame

from streaming.patterns.arguments import IdsWatermark
from streaming.patterns.buckets import microseconds
from streaming.patterns.keyed_state import EventRow, Taken
from streaming.patterns.running_totals import Account, AccountRules, accounts

TIMEOUT = timedelta(hours=1)
WATERMARK = timedelta(minutes=10)


class ExpiringTotals(AccountRules):
    """Adds up in event order, from zero after more than `timeout` microseconds without a transaction."""

    lasts = "until the watermark is {timeout} past the last transaction; an id until it passes that one's own"

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout

    def take(self, state: Account | None, rows: Sequence[EventRow]) -> Taken[Account]:
        total, transactions, last, known = state or Account(0, 0, rows[0][0], {})
        ids = dict(known)
        late = counted = 0
        for at, transaction, amount in rows:
            if transaction in ids:
                continue
            if at < last:
                late += 1
                continue
            if at - last > self._timeout:
                total = transactions = 0
            total, transactions, last = total + amount, transactions + 1, at
            ids[transaction] = at
            counted += 1
        return Taken(Account(total, transactions, last, ids), [(total, transactions, last)] if counted else [], late)

    def expires_at(self, state: Account) -> int:
        return state.last + self._timeout

    def expire(self, state: Account, watermark: int) -> Account | None:
        return None if self.expires_at(state) <= watermark else state.without_ids(watermark)


def expiring_totals(
    transactions: DataFrame,
    *,
    timeout: Annotated[timedelta, "A longer pause restarts the total."] = TIMEOUT,
    watermark: IdsWatermark = WATERMARK,
) -> DataFrame:
    """Add up each user's transactions since the last pause of more than `timeout` (exactly `timeout` is no pause).

    In: as `running_totals`. Out, a row per user with a new transaction: `user_id`, `total` (decimal with 6 places),
    `transactions` (bigint, since the pause), `last_transaction` (timestamp, UTC), and `late_rows` (bigint). `late_rows`
    is null, except in an extra row with a user's number of late rows: those older than a row of an earlier batch, which
    are ignored.
    """
    return accounts(transactions, ExpiringTotals(microseconds(timeout)), watermark)
