#!/bin/bash
# Apache Avro for Python writes 1234.56 into a decimal(4, 2), and reads its own bytes as 1235. fastavro refuses to write
# them, and reads them as 1235 too. Java and Go read 1234.56.
#
# Why it matters: both Python readers round to the declared precision as they read, so that the same message is worth one
# amount to a job on the JVM, and another to a check in Python. Nothing is raised.
#
# Source: Avro 1.12 specification, "Decimal": precision is the largest of a number stored in this type; reading is said to be the
# unscaled number times a power of ten, and no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install avro==1.12.2 fastavro==1.13.1
cat > amounts.py <<'END'
import io, json
from decimal import Decimal
import avro.io, avro.schema, fastavro
schema = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
parsed = avro.schema.parse(json.dumps(schema))
out = io.BytesIO()
avro.io.DatumWriter(parsed).write(Decimal("1234.56"), avro.io.BinaryEncoder(out))
payload = out.getvalue()
print("avro for Python writes", payload.hex())
print("avro for Python reads", avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(payload))))
try:
    fastavro.schemaless_writer(io.BytesIO(), schema, Decimal("1234.56"))
except ValueError as error:
    print("fastavro writes nothing:", error)
print("fastavro reads", fastavro.schemaless_reader(io.BytesIO(payload), schema, None))
END

mkdir java
cat > java/pom.xml <<'END'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.2</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
</dependencies></project>
END
cat > java/Amounts.java <<'END'
import java.util.HexFormat;
import org.apache.avro.*;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;

class Amounts {
  public static void main(String[] args) throws Exception {
    Schema schema = LogicalTypes.decimal(4, 2).addToSchema(Schema.create(Schema.Type.BYTES));
    GenericData data = new GenericData();
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    byte[] payload = HexFormat.of().parseHex("0601e240");
    Object read = new GenericDatumReader<>(schema, schema, data).read(null, DecoderFactory.get().binaryDecoder(payload, null));
    System.out.println("Java reads " + read);
  }
}
END
(cd java && mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 2; })

echo "avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') and fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p') for Python," \
  "Apache Avro for Java 1.12.2"
{ venv/bin/python amounts.py; java -cp "$(cat java/classpath)" java/Amounts.java; } | tee found
cat > expected <<'END'
avro for Python writes 0601e240
avro for Python reads 1235
fastavro writes nothing: The decimal precision is bigger than allowed by schema
fastavro reads 1235
Java reads 1234.56
END
diff expected found && echo "as described"
