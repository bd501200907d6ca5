#!/bin/bash
# Both Avro libraries for Go write 1.999 into a decimal of scale 2 as 1.99: they cut digits off, without an error and
# without rounding. Java and both Python libraries refuse the same number.
#
# Why it matters: a big.Rat from a division or a currency rate nearly always has more digits than the schema. Each event loses
# up to a cent, always downwards, so that it adds up.
#
# Source: Avro 1.12 specification, "Decimal": the scale is fixed by the schema; rounding is not spoken of. Java's error says
# "without rounding".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > go.mod <<'END'
module found

go 1.24

require (
	github.com/hamba/avro/v2 v2.31.0
	github.com/linkedin/goavro/v2 v2.15.0
)
END
cat > main.go <<'END'
package main

import (
	"fmt"
	"math/big"

	"github.com/hamba/avro/v2"
	"github.com/linkedin/goavro/v2"
)

const schema = `{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}`

func main() {
	amount, _ := new(big.Rat).SetString("1.999")
	parsed := avro.MustParse(schema)
	one, err := avro.Marshal(parsed, amount)
	var back any
	if err == nil {
		err = avro.Unmarshal(parsed, one, &back)
	}
	fmt.Println("hamba/avro:", show(back), err)
	codec, _ := goavro.NewCodec(schema)
	two, err := codec.BinaryFromNative(nil, amount)
	if err == nil {
		back, _, err = codec.NativeFromBinary(two)
	}
	fmt.Println("goavro:", show(back), err)
}

func show(value any) string {
	if rat, ok := value.(*big.Rat); ok {
		return rat.FloatString(3)
	}
	return "nothing"
}
END
go mod tidy > log 2>&1 || { cat log; exit 2; }

mkdir java
cat > java/pom.xml <<'END'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.2</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
</dependencies></project>
END
cat > java/Write.java <<'END'
import java.math.BigDecimal;
import org.apache.avro.*;

class Write {
  public static void main(String[] args) {
    Schema schema = LogicalTypes.decimal(12, 2).addToSchema(Schema.create(Schema.Type.BYTES));
    try {
      new Conversions.DecimalConversion().toBytes(new BigDecimal("1.999"), schema, schema.getLogicalType());
      System.out.println("Java: written");
    } catch (AvroTypeException error) {
      System.out.println("Java: " + error.getMessage());
    }
  }
}
END
(cd java && mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 2; })

python3 -m venv venv
venv/bin/pip -q install fastavro==1.13.1 avro==1.12.2
cat > write.py <<'END'
import io, json
from decimal import Decimal
import avro.io, avro.schema, fastavro
schema = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
def one(out):
    fastavro.schemaless_writer(out, schema, Decimal("1.999"))
def two(out):
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(Decimal("1.999"), avro.io.BinaryEncoder(out))
for name, write in (("fastavro", one), ("avro for Python", two)):
    try:
        write(io.BytesIO())
        print(f"{name}: written")
    except Exception as error:
        print(f"{name}: {error}")
END

echo "hamba/avro 2.31.0 and goavro 2.15.0 for Go, Apache Avro for Java 1.12.2," \
  "fastavro $(venv/bin/pip show fastavro | sed -n 's/^Version: //p') and avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') for Python"
{ go run .; java -cp "$(cat java/classpath)" java/Write.java; venv/bin/python write.py; } | tee found
cat > expected <<'END'
hamba/avro: 1.990 <nil>
goavro: 1.990 <nil>
Java: Cannot encode decimal with scale 3 as scale 2 without rounding
fastavro: Scale provided in schema does not match the decimal
avro for Python: The exponent of 1.999, -3, is too large for the schema scale of 2
END
diff expected found && echo "as described"
