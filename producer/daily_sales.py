"""Raw sales of whole days, for the batch job: rows of a table, not messages."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import NamedTuple

PRODUCTS = [101, 102, 103]
PRICES = [Decimal("29.99"), Decimal("49.99"), Decimal("99.99")]
MOST_PIECES = 10

SAMPLE_SEED = 42
SAMPLE_DATES = (date(2025, 1, 14), date(2025, 1, 15), date(2025, 1, 16))
SAMPLE_SALES_A_DAY = 333


class SaleRow(NamedTuple):
    """One sale; `unit_price` and `amount` (quantity times unit price) in currency."""

    transaction_date: date
    product_id: int
    quantity: int
    unit_price: Decimal
    amount: Decimal


def sample_sales() -> Iterator[SaleRow]:
    """Return 999 sales of three days, always the same.

    Their revenue is 331414.74, of the products 105992.19, 108092.78 and 117329.77.
    """
    rng = Random(SAMPLE_SEED)
    for day in SAMPLE_DATES:
        yield from _sales(rng, day, SAMPLE_SALES_A_DAY)


def sales_of(day: date, seed: int, count: int) -> Iterator[SaleRow]:
    """Return `count` sales of one day; the same arguments give the same rows."""
    yield from _sales(Random(f"{day}/{seed}"), day, count)


def _sales(rng: Random, day: date, count: int) -> Iterator[SaleRow]:
    for _ in range(count):
        # The order of the draws is part of the documented figures.
        product, quantity, price = rng.choice(PRODUCTS), rng.randint(1, MOST_PIECES), rng.choice(PRICES)
        yield SaleRow(day, product, quantity, price, quantity * price)
