#!/bin/bash
# Spark's numRowsDroppedByWatermark says 2 where 8 events were dropped: it counts what partial aggregation has made of them,
# one row for each task, key and window.
#
# Why it matters: it is the one number that Spark has for late events, and dashboards add it to "processed" to account for the
# input. The sum depends on the number of tasks and on how alike the events are; zero and not zero is all that it tells.
#
# Source: Spark's page on the web UI says so for aggregations (Aggregated Number Of Rows Dropped By Watermark). The API's
# documentation of StateOperatorProgress and the programming guide leave it out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install pyspark==4.1.1
cat > dropped.py <<'END'
import json, os
from pyspark.sql import SparkSession, functions as F

spark = (
    SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "1").config("spark.sql.session.timeZone", "UTC").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
print("Spark", spark.version)

os.mkdir("events")
events = spark.readStream.schema("ad string, time timestamp").json("events").withWatermark("time", "1 minute")
counts = events.groupBy(F.window("time", "1 minute"), "ad").count()
query = counts.writeStream.outputMode("update").format("memory").queryName("counts").start()

def send(name, ads, minute):
    with open("staged", "w") as out:
        out.write("\n".join(json.dumps({"ad": ad, "time": f"2025-02-21T07:{minute}Z"}) for ad in ads))
    os.rename("staged", f"events/{name}.json")
    query.processAllAvailable()

send("first", "a", "00:00")
send("later", "a", "10:00")
send("late", "aaaaabbb", "00:10")
counted = spark.sql("select sum(count) from counts where window.start < '2025-02-21 07:05:00'").first()[0]
operators = [operator for each in query.recentProgress for operator in each["stateOperators"]]
said = sum(operator["numRowsDroppedByWatermark"] for operator in operators)
print(f"8 late events of 2 ads: {8 + 1 - counted} were dropped, numRowsDroppedByWatermark = {said}")
query.stop()
END
venv/bin/python dropped.py 2>/dev/null | tee found
cat > expected <<'END'
Spark 4.1.1
8 late events of 2 ads: 8 were dropped, numRowsDroppedByWatermark = 2
END
diff expected found && echo "as described"
