#!/bin/bash
# A new scale for a decimal, or another unit for a time: Avro's check calls the schemas compatible, and what a reader sees
# depends on its library. Java and Go take the reader's annotation (12.50 becomes 0.1250, a time of 2025 the year 57112),
# Python's libraries the writer's.
#
# Why it matters: registries ask Java's check. A producer that goes from cents to hundredths of cents is let through, and
# every job on the JVM reads a hundredth of each amount, without an error.
#
# Source: Avro 1.12 specification, "Decimal": for schema resolution two decimals match if scales and precisions match. It
# says nothing of times, and not what follows where two decimals do not match.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > cases.json <<'END'
[{"name": "12.50, scale 2 read with scale 4", "hex": "0404e2",
  "writer": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
  "reader": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4}},
 {"name": "2025-02-21T07:06:40Z, micros read as millis", "hex": "8080ac9db4a89706",
  "writer": {"type": "long", "logicalType": "timestamp-micros"},
  "reader": {"type": "long", "logicalType": "timestamp-millis"}}]
END

mkdir java go
cat > java/pom.xml <<'END'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.2</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
</dependencies></project>
END
cat > java/Read.java <<'END'
import com.fasterxml.jackson.databind.*;
import java.io.File;
import java.util.HexFormat;
import org.apache.avro.*;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;

class Read {
  public static void main(String[] args) throws Exception {
    GenericData data = new GenericData();
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
    for (JsonNode each : new ObjectMapper().readTree(new File(args[0]))) {
      Schema writer = new Schema.Parser().parse(each.get("writer").toString());
      Schema reader = new Schema.Parser().parse(each.get("reader").toString());
      byte[] bytes = HexFormat.of().parseHex(each.get("hex").asText());
      Object value = new GenericDatumReader<>(writer, reader, data).read(null, DecoderFactory.get().binaryDecoder(bytes, null));
      System.out.println(each.get("name").asText() + " | Java: "
          + SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType() + ", " + value);
    }
  }
}
END
(cd java && mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath > log 2>&1 || { cat log; exit 2; })

python3 -m venv venv
venv/bin/pip -q install fastavro==1.13.1 avro==1.12.2
cat > read.py <<'END'
import io, json
import avro.io, avro.schema, fastavro
for each in json.load(open("cases.json")):
    payload = bytes.fromhex(each["hex"])
    one = fastavro.schemaless_reader(io.BytesIO(payload), each["writer"], each["reader"])
    writer, reader = (avro.schema.parse(json.dumps(each[name])) for name in ("writer", "reader"))
    two = avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(io.BytesIO(payload)))
    print(f"{each['name']} | fastavro: {one}")
    print(f"{each['name']} | avro for Python: {two}")
END

cat > go/go.mod <<'END'
module read

go 1.24

require github.com/hamba/avro/v2 v2.31.0
END
cat > go/main.go <<'END'
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"

	"github.com/hamba/avro/v2"
)

func main() {
	content, _ := os.ReadFile(os.Args[1])
	var cases []struct {
		Name, Hex      string
		Writer, Reader json.RawMessage
	}
	if err := json.Unmarshal(content, &cases); err != nil {
		panic(err)
	}
	for _, each := range cases {
		writer, reader := avro.MustParse(string(each.Writer)), avro.MustParse(string(each.Reader))
		both, err := avro.NewSchemaCompatibility().Resolve(reader, writer)
		if err != nil {
			fmt.Println(each.Name, "| hamba/avro:", err)
			continue
		}
		payload, _ := hex.DecodeString(each.Hex)
		var value any
		err = avro.Unmarshal(both, payload, &value)
		if rat, ok := value.(*big.Rat); ok {
			value = rat.FloatString(4)
		}
		fmt.Println(each.Name, "| hamba/avro:", value, err)
	}
}
END
(cd go && go mod tidy > log 2>&1 && go build -o read . || { cat log; exit 2; })

echo "Apache Avro for Java 1.12.2, avro $(venv/bin/pip show avro | sed -n 's/^Version: //p') and fastavro" \
  "$(venv/bin/pip show fastavro | sed -n 's/^Version: //p') for Python, hamba/avro 2.31.0 for Go"
{ java -cp "$(cat java/classpath)" java/Read.java cases.json; venv/bin/python read.py; go/read cases.json; } | LC_ALL=C sort | tee found
cat > expected <<'END'
12.50, scale 2 read with scale 4 | avro for Python: 12.50
12.50, scale 2 read with scale 4 | fastavro: 12.50
12.50, scale 2 read with scale 4 | hamba/avro: 0.1250 <nil>
12.50, scale 2 read with scale 4 | Java: COMPATIBLE, 0.1250
2025-02-21T07:06:40Z, micros read as millis | avro for Python: 2025-02-21 07:06:40+00:00
2025-02-21T07:06:40Z, micros read as millis | fastavro: 2025-02-21 07:06:40+00:00
2025-02-21T07:06:40Z, micros read as millis | hamba/avro: 57112-04-05 07:06:40 +0000 UTC <nil>
2025-02-21T07:06:40Z, micros read as millis | Java: COMPATIBLE, +57112-04-05T07:06:40Z
END
diff <(LC_ALL=C sort expected) found && echo "as described"
