package c_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/hosttest"
)

const wordcount = "../../test/guests/wordcount-c.wasm"

// words is what the word count must find in a text, by a way that could not be plainer.
func words(text string) []string {
	letter := func(c rune) bool { return c < 'a' || c > 'z' }
	return strings.FieldsFunc(strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text), letter)
}

func TestWordCountFindsTheWords(t *testing.T) {
	g := hosttest.Open(t, wordcount, nil)
	long := strings.Repeat("whale", 50)
	lines := []string{
		"", " ", "Call me Ishmael.", "a", "Z", "@[`{a", "tab\tand\x00nul", "\xff\xfe caf\xc3\xa9 na\xc3\xafve",
		long, long + " " + long, "-" + long, strings.Repeat("x ", 100), "ends in capitaLS",
	}
	for n := 55; n < 75; n++ { // around the 64 bytes that it looks at together
		lines = append(lines, strings.Repeat("a", n), strings.Repeat(" ", n)+"b", strings.Repeat("c", n)+" d", strings.Repeat("e", n)+"-")
	}
	for c := range 256 {
		lines = append(lines, "x"+string([]byte{byte(c)})+"y")
	}
	for _, line := range lines {
		var got []string
		for _, r := range g.Chain("split").Process(hosttest.Values(line)...) {
			got = append(got, r.Value)
		}
		if !slices.Equal(got, words(line)) {
			t.Errorf("%q: %q (expected %q)", line, got, words(line))
		}
	}
}

func TestWordCountKeysWords(t *testing.T) {
	g := hosttest.Open(t, wordcount, map[string]string{"counter": "guest"})
	in := hosttest.Record{Timestamp: 7, Kind: abi.UpdateAfter, Value: "Moby Dick"}
	one := "\x01\x00\x00\x00\x00\x00\x00\x00"
	want := []hosttest.Record{
		{Timestamp: 7, Kind: abi.UpdateAfter, Key: "moby", Value: one},
		{Timestamp: 7, Kind: abi.UpdateAfter, Key: "dick", Value: one},
	}
	if got := g.Chain("split", "word").Process(in); !slices.Equal(got, want) {
		t.Errorf("%+v (expected %+v)", got, want)
	}
}

func TestWordCountSendsFullBatches(t *testing.T) {
	g := hosttest.Open(t, wordcount, nil)
	many := strings.Repeat("sea ", 3000)
	huge := strings.Repeat("z", 200_000)
	records := g.Chain("split", "word").Process(hosttest.Values(many, huge, "end")...)
	if len(records) != 3002 || records[2999].Key != "sea" || records[3000].Key != huge || records[3001].Key != "end" {
		t.Errorf("%d records, the last %.20q", len(records), records[len(records)-1].Key)
	}
}

func TestWordCountAddsUp(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "data", "moby-dick.txt"))
	if err != nil {
		t.Fatal(err)
	}
	g := hosttest.Open(t, wordcount, map[string]string{"counter": "guest"}, hosttest.ReplaceInstances())
	add := g.Keyed("add")
	want := map[string]int64{}
	values := map[string][]string{}
	for _, w := range words(string(text[:1<<18])) {
		want[w]++
		values[w] = append(values[w], string(abi.AppendI64Key(nil, 1)))
	}
	var groups, halves []hosttest.Group
	keys := slices.Sorted(maps.Keys(values))
	for _, w := range keys {
		groups = append(groups, hosttest.Group{Key: w, Values: values[w]})
	}
	for k, acc := range add.Accumulate(groups...) {
		halves = append(halves, hosttest.Group{Key: keys[k], Accumulators: []string{acc, string(abi.AppendI64Key(nil, 0))}})
	}
	for k, acc := range add.Merge(halves...) {
		groups[k] = hosttest.Group{Key: keys[k], Accumulators: []string{acc}}
	}
	rows, err := abi.ParseSchema("row(key: utf8, value: i64)")
	if err != nil {
		t.Fatal(err)
	}
	for k, r := range add.Result(groups...) {
		if err := abi.Validate(rows, []byte(r.Value)); err != nil {
			t.Fatal(err)
		}
		row := rows.Row([]byte(r.Value))
		if w := keys[k]; r.Key != w || string(row.Bytes(0)) != w || row.I64(1) != want[w] {
			t.Errorf("%q: row %q %d (expected %d)", w, row.Bytes(0), row.I64(1), want[w])
		}
	}
}

func TestWordCountRendersWindows(t *testing.T) {
	g := hosttest.Open(t, wordcount, map[string]string{"counter": "guest", "window": "1000"})
	group := hosttest.Group{Key: "whale", Accumulators: []string{string(abi.AppendI64Key(nil, math.MaxInt64))}, WindowStart: 2000, WindowEnd: 3000}
	got := g.Keyed("add").Result(group)
	s, err := abi.ParseSchema("row(start: ms, end: ms, key: utf8, value: i64)")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Timestamp != 2999 {
		t.Fatalf("%+v", got)
	}
	if err := abi.Validate(s, []byte(got[0].Value)); err != nil {
		t.Fatal(err)
	}
	if r := s.Row([]byte(got[0].Value)); r.I64(0) != 2000 || r.I64(1) != 3000 || string(r.Bytes(2)) != "whale" || r.I64(3) != math.MaxInt64 {
		t.Errorf("row %x", got[0].Value)
	}
}

func TestWordCountDescribesItself(t *testing.T) {
	m := hosttest.Open(t, wordcount, map[string]string{"input": `a"b\c`, "output": "out", "window": "60000"}).Manifest()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/wordcount-c.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(text)+"\n" != string(want) {
		t.Errorf("the manifest is another than testdata/wordcount-c.json:\n%s", text)
	}
}
