"""The total of each user's transactions for all time, by arbitrary state; a repeated transaction counts once.

A transaction's id is remembered until the watermark has passed its time. After that, Spark drops an exact repetition as
late; a repetition under a newer time is then a new transaction.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, MapType, StringType, StructType

from streaming.patterns.arguments import IdsWatermark
from streaming.patterns.event_time import interval
from streaming.patterns.keyed_state import LATE_ROWS, EventRow, KeyRules, Taken, apply_rules
from streaming.patterns.money import currency, micros

WATERMARK = timedelta(minutes=10)


class Account(NamedTuple):
    """A user's sum in millionths, count, newest event time, and the event times of the ids that may still repeat."""

    total: int
    transactions: int
    last: int
    ids: dict[str, int]

    def without_ids(self, watermark: int) -> "Account":
        """Without the ids of transactions up to the watermark."""
        return self._replace(ids={name: at for name, at in self.ids.items() if at > watermark})


class AccountRules(KeyRules[Account]):
    """Rows are (event time, transaction id, millionths). The output is the account without its ids."""

    remembered = Account
    emitted = StructType().add("total", LongType()).add("transactions", LongType()).add("last", LongType())
    stored = StructType([*emitted]).add("ids", MapType(StringType(), LongType()))


class RunningTotals(AccountRules):
    """Adds up. A sum has no order, so no row is late."""

    lasts = "for ever; an id until the watermark passes its transaction"

    def take(self, state: Account | None, rows: Sequence[EventRow]) -> Taken[Account]:
        total, transactions, last, known = state or Account(0, 0, rows[0][0], {})
        ids = dict(known)
        for at, transaction, amount in rows:
            if transaction not in ids:
                ids[transaction] = at
                total, transactions, last = total + amount, transactions + 1, max(last, at)
        counted = state is None or transactions > state.transactions
        return Taken(Account(total, transactions, last, ids), [(total, transactions, last)] if counted else [])

    def expires_at(self, state: Account) -> int | None:
        return max(state.ids.values(), default=None)

    def expire(self, state: Account, watermark: int) -> Account:
        return state.without_ids(watermark)


def running_totals(transactions: DataFrame, *, watermark: IdsWatermark = WATERMARK) -> DataFrame:
    """Add up each user's transactions, in any order of arrival.

    In: `userId`, `transactionId` (string), `transactionTime` (timestamp, UTC), `amount` (double, in currency; rounded
    half-up to 6 decimals before it is added). Out, a row per user with a new transaction: `user_id`, `total` (decimal
    with 6 places), `transactions` (bigint) and `last_transaction` (timestamp, UTC). A user's state stays for ever; the
    watermark evicts its ids.
    """
    return accounts(transactions, RunningTotals(), watermark).drop(LATE_ROWS)


def accounts(transactions: DataFrame, rules: AccountRules, watermark: timedelta) -> DataFrame:
    """The rules' account of each user, in the columns of `running_totals`, and `late_rows`."""
    timely = transactions.withWatermark("transactionTime", interval(watermark)).withColumnRenamed("userId", "user_id")
    values = [F.col("transactionId"), micros(F.col("amount"))]
    return apply_rules(timely, rules, key="user_id", event_time="transactionTime", values=values).select(
        "user_id",
        currency(F.col("total")).alias("total"),
        "transactions",
        F.timestamp_micros("last").alias("last_transaction"),
        LATE_ROWS,
    )
