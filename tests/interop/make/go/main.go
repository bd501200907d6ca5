// Writes every event of cases.json with hamba/avro or linkedin/goavro.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hamba/avro/v2"
	"github.com/linkedin/goavro/v2"
)

type testCase struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Events []struct {
		Event any `json:"event"`
	} `json:"events"`
}

func main() {
	content, err := os.ReadFile(os.Args[2])
	check(err)
	var cases []testCase
	check(json.Unmarshal(content, &cases))
	for _, each := range cases {
		for number, found := range each.Events {
			written, err := write(os.Args[1], each.Schema, found.Event)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s %d: %v\n", each.Name, number, err)
				continue
			}
			fmt.Printf("{\"case\": %q, \"event\": %d, \"hex\": %q}\n", each.Name, number, hex.EncodeToString(written))
		}
	}
}

func write(tool string, schema json.RawMessage, event any) ([]byte, error) {
	var parsed any
	check(json.Unmarshal(schema, &parsed))
	native := values{tool}.of(event, parsed)
	if tool == "goavro" {
		codec, err := goavro.NewCodec(string(schema))
		if err != nil {
			return nil, err
		}
		return codec.BinaryFromNative(nil, native)
	}
	known, err := avro.Parse(string(schema))
	if err != nil {
		return nil, err
	}
	return avro.Marshal(known, native)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
