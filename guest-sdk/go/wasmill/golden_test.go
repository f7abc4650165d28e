//go:build !wasip1

package wasmill

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// goldenBytes reads a golden encoding of the ABI: hexadecimal bytes, # begins a comment.
func goldenBytes(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "abi", "testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	return unhex(t, digits.String())
}

func TestGoldenParams(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"params":      {"counter": "native", "empty": "", "input": "/data/*.txt"},
		"params-none": {},
	} {
		if got := parseParams(goldenBytes(t, name)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestGoldenHandle(t *testing.T) {
	want := []functionSpec{
		{id: 0, upstream: none},
		{id: 3, upstream: 0, outputs: []outputSpec{{0, 0, columnKeys}}},
		{id: 5, upstream: 0, outputs: []outputSpec{{0, 1, columnTimestamps | columnValues}, {0, 2, columnValues}}},
		{id: 6, upstream: none, input: 1, outputs: []outputSpec{{0, 3, columnValues}}},
	}
	if got, ok := parseHandle(goldenBytes(t, "handle")); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, ok, want)
	}
}

func TestGoldenBatches(t *testing.T) {
	values := records{Values: []string{"hi", ""}}
	if got := decodeRecords(t, goldenBytes(t, "batch-values")); !reflect.DeepEqual(got, values) {
		t.Errorf("read %+v, want %+v", got, values)
	}
	if got := values.encode(); !bytes.Equal(got, goldenBytes(t, "batch-values")) {
		t.Errorf("wrote %x", got)
	}
	var empty batch
	if !empty.parse(goldenBytes(t, "batch-empty")) || empty.n != 0 {
		t.Errorf("an empty batch has %d records", empty.n)
	}
	all := records{
		Timestamps: []int64{1000, -1, 2000}, Keys: []string{"sea", "", ""}, Values: []string{"blue", "", ""},
		Kinds: []byte{0, 1, 3}, Headers: []string{"ab", "", "c"},
	}
	if got := decodeRecords(t, goldenBytes(t, "batch-all")); !reflect.DeepEqual(got, all) {
		t.Errorf("read %+v, want %+v", got, all)
	}
}

func TestGoldenGroups(t *testing.T) {
	var r groupReader
	r.begin(goldenBytes(t, "groups"))
	if !r.next() || string(r.key()) != "whale" || r.header.window != (Window{1000, 2000}) || r.records.n != 2 || r.accums.n != 1 {
		t.Fatalf("the first group: key %q, %+v", r.key(), r.group)
	}
	if acc := i64.decode(r.value(&r.accums, 0)); acc != 5 {
		t.Errorf("accumulator %d, want 5", acc)
	}
	for i := range r.records.n {
		if v := i64.decode(r.value(&r.records, i)); v != 1 {
			t.Errorf("record %d is %d, want 1", i, v)
		}
	}
	defer func() {
		if got := recover(); got != "group has 4 elements of which 2 came with the call (expected all)" {
			t.Errorf("a list in part: %v", got)
		}
	}()
	r.next()
	for _, l := range []*list{&r.records, &r.right, &r.accums} {
		l.whole()
	}
}

func TestGoldenFailure(t *testing.T) {
	newHost(t, nil)
	var sent []byte
	native.fail = func(p []byte) { sent = bytes.Clone(p) }
	guest.fail(81, "no digits", "parse\n\tmain.go:7")
	if !bytes.Equal(sent, goldenBytes(t, "failure")) {
		t.Errorf("wrote %x", sent)
	}
}

func TestGoldenKeysAndRows(t *testing.T) {
	negativeZero := math.Copysign(0, -1)
	for _, tt := range []struct {
		name string
		got  []byte
	}{
		{"key-utf8", utf8.appendKey(nil, "m\u00f6we")},
		{"key-i64", i64.appendKey(nil, -2)},
		{"key-f64", f64.appendKey(nil, 1.5)},
		{"key-f64-zero", f64.appendKey(nil, negativeZero)},
		{"key-f64-nan", f64.appendKey(nil, math.Float64frombits(0xfff8000000000001))},
		{"row-count", keyValueCodec(utf8, i64).append(nil, KeyValue[string, int64]{"whale", 1685})},
		{"row-window", windowedCodec(utf8, i64).append(nil, Windowed[string, int64]{Window{60000, 120000}, "", -1})},
		{"row-letter", letters.append(nil, Letter{Unit: "record", Cause: "trap", Bytes: []byte("k,7")})},
	} {
		if want := goldenBytes(t, tt.name); !bytes.Equal(tt.got, want) {
			t.Errorf("%s: %x, want %x", tt.name, tt.got, want)
		}
	}
	for _, l := range []Letter{
		{Unit: "record", Cause: "trap", Bytes: []byte("k,7")}, {Unit: "timer", Key: []byte("k"), Cause: "", Bytes: []byte("k")}, {Key: []byte{}, Bytes: []byte{}},
	} {
		if got := letters.decode(letters.append(nil, l)); !reflect.DeepEqual(got, l) {
			t.Errorf("letter %+v, want %+v", got, l)
		}
	}
}
