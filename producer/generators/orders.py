"""Orders; each has a key of its own."""

from random import Random

from producer.samples import Event, one_step
from producer.source import Source
from producer.timeline import millis

LARGEST_AMOUNT = 300.0


def event(rng: Random, _key: str, timestamp: int, event_id: str) -> Event:
    """Make an order of 1.00 to 300.00 in currency."""
    amount = round(1 + (LARGEST_AMOUNT - 1) * rng.random(), 2)
    return {"order_id": f"order-{event_id}", "amount": amount, "timestamp": timestamp}


def _order(number: int, time: str, amount: float) -> Event:
    return {"order_id": f"order{number}", "amount": amount, "timestamp": millis(f"2025-03-29T{time}Z")}


# Averages: hour 10 20.00 (4 orders), hour 11 0.20 (3 orders of 0.10, 0.20, 0.30), hour 12 33.333333 (100 by 3).
ORDERS = one_step(
    [
        _order(1, "10:00:00", 5.0),
        _order(2, "10:15:00", 15.0),
        _order(3, "10:30:00", 25.0),
        _order(4, "10:59:59", 35.0),
        _order(5, "11:00:00", 0.1),
        _order(6, "11:20:00", 0.2),
        _order(7, "11:40:00", 0.3),
        _order(8, "12:00:00", 33.33),
        _order(9, "12:10:00", 33.33),
        _order(10, "12:20:00", 33.34),
    ]
)

SOURCE = Source("orders", "orders", "order_id", event, None, {"order-values": ORDERS})
