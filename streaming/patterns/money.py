"""Exact money: amounts become whole millionths once, when they are read, and are summed as integers.

Floating-point sums depend on the order of arrival; sums of integers do not. The judge bounds an amount
(streaming.events.judge), so that nine million of the largest, for one key, still fit into 64 bits.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

# The product is off by a thousandth at most (amounts up to 1e6). So a value this close to an integer is far from the
# middle between two.
_CLEAR = 0.25


def micros(amount: Column) -> Column:
    """Round a double half-up to 6 decimals, and return millionths (bigint).

    The method of rounding matters only near the middle between two millionths. There `round` uses the double's shortest
    decimal text, which costs ten times as much as the multiplication that is enough elsewhere.
    """
    scaled = amount * F.lit(1e6)
    nearest = F.rint(scaled)
    exact = F.rint(F.round(amount, 6) * F.lit(1e6))
    return F.when(F.abs(scaled - nearest) < _CLEAR, nearest).otherwise(exact).cast("bigint")


def currency(micros: Column) -> Column:
    """Millionths as a decimal(25,6)."""
    return (micros.cast("decimal(19,0)") * F.lit("0.000001").cast("decimal(7,6)")).cast("decimal(25,6)")


def rounded_ratio(dividend: Column, divisor: Column) -> Column:
    """dividend / divisor in whole numbers, rounded half away from zero. Null unless the divisor is above 0.

    The remainder decides: doubling the dividend would overflow from 4.6 million of the largest amounts on.
    """
    whole, rest = F.call_function("div", F.abs(dividend), divisor), F.abs(dividend) % divisor
    size = whole + F.when(rest >= divisor - rest, F.lit(1)).otherwise(F.lit(0))
    return F.when(divisor > 0, F.when(dividend < 0, -size).otherwise(size))
