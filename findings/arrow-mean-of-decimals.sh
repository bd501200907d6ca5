#!/bin/bash
# The mean of decimals has the scale of its input in Arrow: the mean cost of a view that costs 0.01 and two that are free is
# 0.00. Arrow widens the sum of the same column to 38 digits, and a division gets more digits than either number has; the
# mean alone gets none. DuckDB gives a double for the same column.
#
# Why it matters: "cost per view" is far below a cent. Computed as sum by count it is right, by the function made for it nearly
# always 0.00, in a column whose type looks exact.
#
# Source: Arrow's page on compute functions, a note below the table of aggregations: the mean of decimals keeps their precision
# and scale. That a division of the same two numbers does not is nowhere beside it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install pyarrow==26.0.1 duckdb==1.5.6
cat > mean.py <<'END'
from decimal import Decimal
import duckdb, pyarrow as pa, pyarrow.compute as pc
costs = pa.table({"cost": pa.array([Decimal("0.01"), Decimal("0.00"), Decimal("0.00")], pa.decimal128(12, 2))})
mean, total = pc.mean(costs["cost"]), pc.sum(costs["cost"])
print(f"Arrow, mean: {mean} of type {mean.type}")
print(f"Arrow, sum: {total} of type {total.type}")
print(f"Arrow, sum divided by count: {pc.divide(total.cast(pa.decimal128(12, 2)), 3).as_py():.6f}")
print("DuckDB, avg: %.6f of type %s" % duckdb.sql("select avg(cost), typeof(avg(cost)) from costs").fetchone())
END
echo "pyarrow $(venv/bin/pip show pyarrow | sed -n 's/^Version: //p') and duckdb $(venv/bin/pip show duckdb | sed -n 's/^Version: //p')"
venv/bin/python mean.py | tee found
cat > expected <<'END'
Arrow, mean: 0.00 of type decimal128(12, 2)
Arrow, sum: 0.01 of type decimal128(38, 2)
Arrow, sum divided by count: 0.003333
DuckDB, avg: 0.003333 of type DOUBLE
END
diff expected found && echo "as described"
