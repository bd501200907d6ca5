#!/bin/bash
# Spark 4.3's incrementalCleanupFactor bounds what an event removes, and not what it reads: one event reads all 20,000 ids of
# the state before its own row leaves, because none of them has expired.
#
# Why it matters: the property is there to spread the removal of expired state over the events of a batch. A store without
# expired entries is the usual case in the first minutes of a job, and in each batch until the watermark has passed some
# entries. The first event of each batch then waits for a look at everything, in real-time mode too, where it should take
# milliseconds. With the property unset the same look comes at the end of the batch.
#
# Source: Spark's EvictionIterator.scala reads on until an entry has expired. Spark's tests of the property speak of the
# number of evicted entries only.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install pyspark==4.3.0
cat > cleanup.py <<'END'
import json, os
from pyspark.sql import SparkSession, functions as F

CLEANUP = "spark.sql.streaming.statefulOperator.incrementalCleanupFactor"
spark = (
    SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.session.timeZone", "UTC").config(CLEANUP, "2").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
print("Spark", spark.version)

os.mkdir("events")
events = spark.readStream.schema("id long, time timestamp").json("events").withWatermark("time", "10 minutes")
once = events.dropDuplicates(["id", "time"])
query = once.writeStream.outputMode("update").format("memory").queryName("once").start()

def send(name, ids):
    with open("staged", "w") as out:
        out.write("\n".join(json.dumps({"id": each, "time": "2025-02-21T07:00:00Z"}) for each in ids))
    os.rename("staged", f"events/{name}.json")
    query.processAllAvailable()

send("many", range(20_000))
send("one", [20_000])
for each in query.recentProgress:
    if each["numInputRows"]:
        [operator] = each["stateOperators"]
        read = operator["customMetrics"]["numRowsReadDuringEviction"]
        print(f"events: {each['numInputRows']}, removed: {operator['numRowsRemoved']}, read to find expired ones: {read}")
query.stop()
END
venv/bin/python cleanup.py 2>/dev/null | tee found
cat > expected <<'END'
Spark 4.3.0
events: 20000, removed: 0, read to find expired ones: 0
events: 1, removed: 0, read to find expired ones: 20000
END
diff expected found && echo "as described"
