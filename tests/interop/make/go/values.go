package main

import (
	"fmt"
	"math/big"
	"time"
)

// values converts a datum from Avro's JSON encoding to a tool's own form. For logical types both tools take objects of
// Go. They also name a union's branch by its logical type.
type values struct{ tool string }

func (v values) of(text any, schema any) any {
	switch found := schema.(type) {
	case []any:
		return v.union(text, found)
	case string:
		return v.plain(text, found)
	}
	part := schema.(map[string]any)
	kind := part["type"]
	switch kind {
	case "record":
		record := map[string]any{}
		for _, each := range part["fields"].([]any) {
			field := each.(map[string]any)
			name := field["name"].(string)
			record[name] = v.of(text.(map[string]any)[name], field["type"])
		}
		return record
	case "array":
		all := []any{}
		for _, each := range text.([]any) {
			all = append(all, v.of(each, part["items"]))
		}
		return all
	case "map":
		all := map[string]any{}
		for key, each := range text.(map[string]any) {
			all[key] = v.of(each, part["values"])
		}
		return all
	case "enum":
		return text
	case "fixed":
		if v.tool == "hamba" {
			return [4]byte(latin1(text))
		}
		return latin1(text)
	}
	switch part["logicalType"] {
	case "timestamp-millis":
		return time.UnixMilli(int64(text.(float64))).UTC()
	case "timestamp-micros":
		return time.UnixMicro(int64(text.(float64))).UTC()
	case "date":
		return time.Unix(int64(text.(float64))*86_400, 0).UTC()
	case "decimal":
		unscaled := new(big.Int).SetBytes(latin1(text)) // all of the cases' decimals are positive
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(part["scale"].(float64))), nil)
		return new(big.Rat).SetFrac(unscaled, power)
	}
	return v.of(text, kind)
}

func (v values) union(text any, branches []any) any {
	if text == nil {
		return nil
	}
	for name, inner := range text.(map[string]any) {
		for _, branch := range branches {
			plain, native := v.names(branch)
			if plain == name {
				return map[string]any{native: v.of(inner, branch)}
			}
		}
	}
	panic(fmt.Sprint("no branch for ", text))
}

// names returns a branch's name in Avro's JSON encoding, and its name for the tool.
func (v values) names(branch any) (string, string) {
	part, complex := branch.(map[string]any)
	if !complex {
		return branch.(string), branch.(string)
	}
	kind := part["type"].(string)
	if kind == "record" {
		space, ok := part["namespace"].(string)
		if !ok {
			space = "adstream"
		}
		return space + "." + part["name"].(string), space + "." + part["name"].(string)
	}
	logical, ok := part["logicalType"].(string)
	if !ok || (v.tool == "goavro" && logical == "uuid") {
		return kind, kind
	}
	return kind, kind + "." + logical
}

func (v values) plain(text any, kind string) any {
	switch kind {
	case "int":
		return int(text.(float64))
	case "long":
		return int64(text.(float64))
	case "float":
		return float32(text.(float64))
	case "bytes":
		return latin1(text)
	}
	return text
}

func latin1(text any) []byte {
	all := []byte{}
	for _, each := range text.(string) {
		all = append(all, byte(each))
	}
	return all
}
