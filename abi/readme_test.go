package abi

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A line of an example in README.md: the offset, then bytes, then three spaces and a remark.
var exampleLine = regexp.MustCompile(`^ *(\d+)  ([0-9a-f]{2}(?: {1,2}[0-9a-f]{2})*)(?:   .*)?$`)

// example returns the bytes of the first example of README.md behind the text given.
func example(t *testing.T, behind string) []byte {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), behind)
	if !ok {
		t.Fatalf("README.md has no %q", behind)
	}
	var p []byte
	for line := range strings.Lines(rest) {
		m := exampleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			if len(p) > 0 {
				break
			}
			continue
		}
		if m[1] != strconv.Itoa(len(p)) {
			t.Fatalf("README.md, behind %q: offset %s is %d", behind, m[1], len(p))
		}
		b, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		p = append(p, b...)
	}
	return aligned(p)
}

func TestExamplesOfTheSpecificationHold(t *testing.T) {
	if got, want := example(t, "Example, `counter=native`"), AppendParams(nil, map[string]string{"counter": "native"}); !bytes.Equal(got, want) {
		t.Errorf("parameters: %x", got)
	}
	h := Handle{Functions: []HandleFunction{{Upstream: None}, {Function: 1, Outputs: []HandleOutput{{Columns: ColumnKeys}}}}}
	if got := example(t, "### `wasmill_open"); !bytes.Equal(got, h.Append(nil)) {
		t.Errorf("handle: %x", got)
	}
	header, rest, err := ParseCallHeader(example(t, "### `wasmill_process"))
	if want := (CallHeader{Watermark: MinTime, ProcessingTime: 1700000000000, Parallelism: 1, Attempt: 1}); err != nil || header != want {
		t.Errorf("call header: %+v, %v", header, err)
	}
	var b Batch
	if err := b.Parse(aligned(rest)); err != nil || b.N != 2 || string(b.Value(0)) != "Call me" || string(b.Value(1)) != "Ishmael" {
		t.Errorf("batch: %+v, %v", b, err)
	}
	if err := b.Parse(example(t, "### `emit")); err != nil || b.N != 1 || string(b.Value(0)) != "hi" {
		t.Errorf("emit: %+v, %v", b, err)
	}
	entry, rest, err := NextReplyEntry(example(t, "### `reply"))
	if err != nil || len(rest) != 0 || entry.Group != 0 || !bytes.Equal(actions(t, entry)[0].Value, AppendI64Key(nil, 7)) {
		t.Errorf("reply: %+v, %x, %v", entry, rest, err)
	}
	if f, err := ParseFailure(example(t, "Example, record 17")); err != nil || *f != (Failure{Record: 17, Message: "bad number"}) {
		t.Errorf("failure: %+v, %v", f, err)
	}
	if got := example(t, "request, op 1, 40 bytes"); !bytes.Equal(got, AppendStateRequests(nil, []StateRequest{{Group: 2}})) {
		t.Errorf("state: %x", got)
	}
	if got, want := example(t, "answer, 56 bytes"), AppendStateAnswers(nil, []StateAnswer{{Values: [][]byte{AppendI64Key(nil, 42)}}}); !bytes.Equal(got, want) {
		t.Errorf("state: %x", got)
	}
	if got := example(t, "Example, `row(key: utf8, value: i64)`"); !bytes.Equal(got, golden(t, "row-count")) {
		t.Errorf("row: %x", got)
	}
	var w ListWriter
	w.Reset(3)
	w.SetBytes(0, []byte("one"))
	w.SetNull(1)
	w.SetBytes(2, nil)
	if got := example(t, "A list of `utf8?`"); !bytes.Equal(got, w.AppendTo(nil)) {
		t.Errorf("list: %x", got)
	}
}

func TestTheSpecificationNamesEveryGoldenEncoding(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := f.Name(); strings.HasSuffix(name, ".hex") && !strings.HasPrefix(name, "key-") && !bytes.Contains(text, []byte(name)) {
			t.Errorf("README.md does not name testdata/%s", name)
		}
	}
}
