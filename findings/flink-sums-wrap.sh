#!/bin/bash
# Flink SQL's SUM has the type of its input and wraps around without a word: two times two billion of INT is -294967296, and
# 100 and 100 of TINYINT is -56. AVG of the same rows is right, as it adds up in a wider type, but its own type is INT too: the
# mean of 1 and 2 is 1. DuckDB widens the sum and gives a double for the mean; Spark widens the sum to bigint and fails beyond.
#
# Why it matters: clicks and views are INT in most Avro schemas, and a running total over them never starts again. The total of a
# busy ad turns negative one day, in a job that runs well, without an error, a null or a metric.
#
# Source: Flink's page on system functions says nothing of SUM's type. FLINK-3586 had AVG add up in a wider type for this reason.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install --no-deps apache-flink-libraries==2.2.1 duckdb==1.5.6
jars=$(echo venv/lib/python3*/site-packages/pyflink/lib)
cat > Sums.java <<'END'
import org.apache.flink.table.api.*;
import org.apache.flink.types.Row;

public class Sums {
    public static void main(String[] queries) throws Exception {
        TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        System.out.println("Flink " + org.apache.flink.runtime.util.EnvironmentInformation.getVersion());
        for (String query : queries) {
            TableResult result = tables.executeSql(query);
            Row last = null;  // of a stream of changes the last one holds
            try (var rows = result.collect()) {
                while (rows.hasNext()) last = rows.next();
            }
            System.out.println(query + ": " + last.getField(0) + " of type " + result.getResolvedSchema().getColumnDataTypes().get(0));
        }
    }
}
END
ints="(VALUES (2000000000), (2000000000)) AS t(clicks)"
queries=(
    "SELECT SUM(clicks) FROM $ints"
    "SELECT AVG(clicks) FROM $ints"
    "SELECT SUM(clicks) FROM (VALUES (CAST(100 AS TINYINT)), (CAST(100 AS TINYINT))) AS t(clicks)"
    "SELECT AVG(clicks) FROM (VALUES (1), (2)) AS t(clicks)"
)
opened="--add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED"
java $opened -cp "$jars/*" Sums.java "${queries[@]}" 2>/dev/null | tee found
for query in "${queries[@]}"; do
    venv/bin/python -c 'import duckdb, sys; print("DuckDB:", duckdb.sql(sys.argv[1]).fetchone()[0])' "$query"
done | tee -a found
cat > expected <<'END'
Flink 2.2.1
SELECT SUM(clicks) FROM (VALUES (2000000000), (2000000000)) AS t(clicks): -294967296 of type INT
SELECT AVG(clicks) FROM (VALUES (2000000000), (2000000000)) AS t(clicks): 2000000000 of type INT
SELECT SUM(clicks) FROM (VALUES (CAST(100 AS TINYINT)), (CAST(100 AS TINYINT))) AS t(clicks): -56 of type TINYINT
SELECT AVG(clicks) FROM (VALUES (1), (2)) AS t(clicks): 1 of type INT
DuckDB: 4000000000
DuckDB: 2000000000.0
DuckDB: 200
DuckDB: 1.5
END
diff expected found && echo "as described"
