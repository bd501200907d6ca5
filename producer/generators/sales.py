"""Sales of products, without an id: one that is sent twice counts twice."""

from random import Random

from producer.samples import Event, Sample, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

LARGEST_AMOUNT = 500


def event(rng: Random, product_id: str, timestamp: int, _event_id: str) -> Event:
    """Make a sale of 1 to 500 whole units of currency."""
    return {"product_id": product_id, "sales_amount": 1 + int(rng.random() * LARGEST_AMOUNT), "event_time": timestamp}


def _sold(product_id: str, time: str, amount: int) -> Event:
    return {"product_id": product_id, "sales_amount": amount, "event_time": millis(f"2025-03-29T{time}Z")}


# Hour 10: product1 100, product2 50; hour 11: product1 30, product2 90, product3 10; hour 12: product3 70. In all 350.
HOURLY = one_step(
    [
        _sold("product1", "10:00:00", 40),
        _sold("product2", "10:10:00", 20),
        _sold("product1", "10:30:00", 35),
        _sold("product1", "10:45:00", 25),
        _sold("product2", "10:59:59", 30),
        _sold("product2", "11:00:00", 60),
        _sold("product3", "11:05:00", 10),
        _sold("product1", "11:20:00", 30),
        _sold("product2", "11:50:00", 30),
        _sold("product3", "12:00:00", 50),
        _sold("product3", "12:30:00", 20),
    ]
)

# From 10:00, after the first step: product1 100, product2 80, product3 60. In the second step product4 reaches 80: it
# comes third, after product2 with as much, and product3 leaves the table. From 10:30 four products have 40 each: the
# first three by name are in it.
TOP = Sample(
    [
        [
            _sold("product1", "10:00:00", 70),
            _sold("product2", "10:02:00", 80),
            _sold("product3", "10:05:00", 60),
            _sold("product1", "10:08:00", 30),
            _sold("product4", "10:10:00", 50),
        ],
        [
            _sold("product4", "10:20:00", 30),
            _sold("product4", "10:30:00", 40),
            _sold("product3", "10:31:00", 40),
            _sold("product2", "10:32:00", 15),
            _sold("product1", "10:33:00", 40),
            _sold("product2", "10:34:00", 25),
        ],
    ]
)

SOURCE = Source(
    "sales",
    "sales",
    "product_id",
    event,
    Keys("product-", count=20),
    {"hourly-sales": HOURLY, "top-products": TOP},
)
