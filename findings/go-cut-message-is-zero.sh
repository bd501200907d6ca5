#!/bin/bash
# hamba/avro for Go decodes a message that was cut before or within a number at its end without an error: the number is 0.
# Cut before a double, or within a string, the same call says "unexpected EOF".
#
# Why it matters: truncated messages are what a consumer of a shared topic must tell from good ones. Whether this one does
# depends on the type of the schema's last field, and what it makes of the rest is a plausible event with 0 clicks.
#
# Source: Avro 1.12 specification, "Binary Encoding": an int takes one byte at least, and its last byte has the upper bit clear.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > go.mod <<'END'
module found

go 1.24

require github.com/hamba/avro/v2 v2.31.0
END
cat > main.go <<'END'
package main

import (
	"encoding/hex"
	"fmt"
	"runtime/debug"

	"github.com/hamba/avro/v2"
)

type event struct {
	AdID   string  `avro:"ad_id"`
	Clicks int     `avro:"clicks"`
	Cost   float64 `avro:"cost"`
}

func main() {
	info, _ := debug.ReadBuildInfo()
	for _, each := range info.Deps {
		if each.Path == "github.com/hamba/avro/v2" {
			fmt.Println(each.Path, each.Version)
		}
	}
	clicks := `{"name": "clicks", "type": "int"}`
	cost := `{"name": "cost", "type": "double"}`
	show("clicks last, whole", clicks, "0461628002")
	show("clicks last, the last byte cut", clicks, "04616280")
	show("clicks last, two bytes cut", clicks, "046162")
	show("cost last, the last byte cut", cost, "046162000000000000f0")
	show("ad_id cut", clicks, "0461")
}

func show(name, field, text string) {
	schema := avro.MustParse(`{"type": "record", "name": "E", "fields": [{"name": "ad_id", "type": "string"}, ` + field + `]}`)
	payload, _ := hex.DecodeString(text)
	var found event
	err := avro.Unmarshal(schema, payload, &found)
	if err != nil {
		fmt.Println(name, "| an error:", err)
		return
	}
	fmt.Println(name, "| no error, clicks =", found.Clicks)
}
END
go mod tidy > log 2>&1 || { cat log; exit 2; }
go build -o found-it . && ./found-it | tee found
cat > expected <<'END'
github.com/hamba/avro/v2 v2.31.0
clicks last, whole | no error, clicks = 128
clicks last, the last byte cut | no error, clicks = 0
clicks last, two bytes cut | no error, clicks = 0
cost last, the last byte cut | an error: Cost: unexpected EOF
ad_id cut | an error: AdID: unexpected EOF
END
diff expected found && echo "as described"
