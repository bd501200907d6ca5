#!/bin/bash
# fastparquet writes a duration as a time of day. A session of 25 hours is 01:00:00 for pyarrow, and 25:00:00, as text, for
# DuckDB; one of minus 1 hour is 23:00:00 for pyarrow. fastparquet itself reads a duration again.
#
# Why it matters: lengths of sessions and delays are durations. Those under a day look right in every tool, so that a table
# passes its tests, and the longest sessions, which somebody looks for, are among the shortest.
#
# Source: Parquet format, "LogicalTypes", TIME: a time of day, in units after midnight; there is no logical type for a
# duration.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install fastparquet==2024.11.0 pandas==2.3.3 numpy==2.4.6 pyarrow==26.0.1 duckdb==1.5.6
cat > sessions.py <<'END'
import duckdb, fastparquet, pandas as pd, pyarrow.parquet as pq
lengths = pd.to_timedelta(["00:20:00", "25:00:00", "-01:00:00"])
fastparquet.write("sessions.parquet", pd.DataFrame({"length": lengths}))
print("type in the file:", pq.read_schema("sessions.parquet").field("length").type)
print("fastparquet:", [str(each) for each in fastparquet.ParquetFile("sessions.parquet").to_pandas()["length"]])
print("pyarrow:", [str(each) for each in pq.read_table("sessions.parquet")["length"].to_pylist()])
print("duckdb:", [str(each) for each, in duckdb.sql("select length from 'sessions.parquet' limit 2").fetchall()])
END
echo "fastparquet $(venv/bin/pip show fastparquet | sed -n 's/^Version: //p'), pyarrow $(venv/bin/pip show pyarrow | sed -n 's/^Version: //p')," \
  "duckdb $(venv/bin/pip show duckdb | sed -n 's/^Version: //p')"
venv/bin/python -W ignore sessions.py | tee found
cat > expected <<'END'
type in the file: time64[us]
fastparquet: ['0 days 00:20:00', '1 days 01:00:00', '-1 days +23:00:00']
pyarrow: ['00:20:00', '01:00:00', '23:00:00']
duckdb: ['00:20:00', '25:00:00']
END
diff expected found && echo "as described"
