package jsonfault

import (
	"encoding/json"
	"testing"
)

type name string

type document struct {
	Name   name            `json:"name"`
	Count  *int            `json:"count"`
	Small  uint8           `json:"small"`
	Params map[string]name `json:"params"`
	Lists  []struct {
		Deep bool   `json:"deep"`
		Of   []name `json:"of"`
	} `json:"lists"`
}

func TestDescribeSpeaksJSON(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{`[1]`, "array (expected an object)"},
		{`"x"`, "string (expected an object)"},
		{`7`, "number (expected an object)"},
		{`{"count": "2", "name": "x"}`, "count: string (expected a number)"},
		{`{"count":2.5}`, "count: number 2.5 (expected a whole number that fits in 64 bits)"},
		{`{"small":-1}`, "small: number -1 (expected a whole number from 0 that fits in 8 bits)"},
		{`{"name":["x"]}`, "name: array (expected a string)"},
		{`{"name":{"x":1}}`, "name: object (expected a string)"},
		{`{"params":{"a":"b", "input":3}}`, "params.input: number (expected a string)"},
		{`{"params":[]}`, "params: array (expected an object)"},
		{`{"lists":[{},{"of":["x",true]}]}`, "lists[1].of[1]: boolean (expected a string)"},
		{`{"lists":[{"deep":"yes"}]}`, "lists[0].deep: string (expected true or false)"},
		{`{"lists":{}}`, "lists: object (expected an array)"},
		{`this`, "byte 2: invalid character 'h' in literal true (expecting 'r')"},
		{`{"name":`, "byte 8: unexpected end of JSON input"},
	} {
		err := json.Unmarshal([]byte(c.data), new(document))
		if err == nil {
			t.Errorf("%s: no error", c.data)
			continue
		}
		if got := Describe([]byte(c.data), err); got != c.want {
			t.Errorf("%s: %q (expected %q)", c.data, got, c.want)
		}
	}
}
