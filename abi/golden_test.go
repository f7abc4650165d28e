package abi

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

// golden returns the bytes of testdata/NAME.hex, which SDKs in other languages read too: hexadecimal digits, spaces that
// do not matter, and comments from a # to the end of the line. The bytes begin at a multiple of 8.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	p, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("testdata/%s.hex: %v", name, err)
	}
	aligned := AlignedBytes(len(p))
	copy(aligned, p)
	return aligned
}

func same(t *testing.T, name string, got []byte) {
	t.Helper()
	if want := golden(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s: encoded as\n%x\nexpected\n%x", name, got, want)
	}
}

func TestGoldenBatches(t *testing.T) {
	var b Batch
	if err := b.Parse(golden(t, "batch-all")); err != nil {
		t.Fatal(err)
	}
	want := Batch{
		N: 3, Columns: 0xff, Timestamps: []int64{1000, -1, 2000}, KeyOffs: []uint32{0, 3, 3, 3}, ValueOffs: []uint32{0, 4, 4, 4},
		Kinds: []byte{0, 1, 3}, Hashes: []uint64{1, 2, math.MaxUint64}, HeaderOffs: []uint32{0, 2, 2, 3},
		KeyNulls: []byte{4}, ValueNulls: []byte{2}, Keys: []byte("sea"), Values: []byte("blue"), Headers: []byte("abc"),
	}
	if !reflect.DeepEqual(b, want) {
		t.Errorf("batch-all: %+v", b)
	}
	for name, make := range map[string]func() *Builder{
		"batch-values": func() *Builder {
			b := NewBuilder(ColumnValues)
			b.Append(Record{Value: []byte("hi")})
			b.Append(Record{})
			return b
		},
		"batch-empty": func() *Builder { return NewBuilder(ColumnTimestamps | ColumnKeys | ColumnValues) },
	} {
		built := make()
		same(t, name, built.Encode(AlignedBytes(built.Size())))
		var parsed, view Batch
		built.View(&view)
		if err := parsed.Parse(golden(t, name)); err != nil || parsed.N != view.N || parsed.Columns != view.Columns || !bytes.Equal(parsed.Values, view.Values) {
			t.Errorf("%s: %+v, %v", name, parsed, err)
		}
	}
}

func TestGoldenCallHeaders(t *testing.T) {
	want := CallHeader{Input: 1, Watermark: 5000, ProcessingTime: 1700000000000, Split: 3, Subtask: 2, Parallelism: 4, Attempt: 7}
	p := make([]byte, CallHeaderBytes)
	want.Put(p)
	same(t, "call-header", p)
	if got, rest, err := ParseCallHeader(p); err != nil || got != want || len(rest) != 0 {
		t.Errorf("%+v, %d bytes, %v", got, len(rest), err)
	}
	got, rest, err := ParseCallHeader(golden(t, "call-header-longer"))
	if err != nil || got.Watermark != MinTime || got.Split != None || !bytes.Equal(rest, bytes.Repeat([]byte{0x55}, 8)) {
		t.Errorf("%+v, %x, %v", got, rest, err)
	}
}

func TestGoldenHandle(t *testing.T) {
	for name, want := range goldenHandles {
		same(t, name, want.Append(nil))
		if got, err := ParseHandle(golden(t, name)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

var goldenHandles = map[string]*Handle{
	"handle": {Functions: []HandleFunction{
		{Function: 0, Upstream: None, Config: []byte{}},
		{Function: 3, Upstream: 0, Outputs: []HandleOutput{{0, 0, ColumnKeys}}, Config: []byte{}},
		{Function: 5, Upstream: 0, Outputs: []HandleOutput{{0, 1, ColumnTimestamps | ColumnValues}, {0, 2, ColumnValues}}, Config: []byte("min=4")},
		{Function: 6, Upstream: None, Input: 1, Outputs: []HandleOutput{{0, 3, ColumnValues}}, Config: []byte{}},
	}},
	"handle-sides": {Functions: []HandleFunction{
		{Function: 2, Upstream: None, Outputs: []HandleOutput{{0, 0, ColumnValues}, {1, 1, ColumnKeys | ColumnValues}, {3, 7, 0}}, Config: []byte{}},
	}},
}

func TestGoldenParams(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"params":      {"counter": "native", "empty": "", "input": "/data/*.txt"},
		"params-none": {},
	} {
		same(t, name, AppendParams(nil, want))
		if got, err := ParseParams(golden(t, name)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestGoldenGroups(t *testing.T) {
	one := AppendI64Key(nil, 1)
	var w GroupsWriter
	for range 2 { // the second time into the memory of the first
		w.Reset()
		w.Begin(Group{Flags: GroupHasWindow, WindowStart: 1000, WindowEnd: 2000, Key: []byte("whale")})
		w.List(ListAccumulators, 0, 1, nil, [][]byte{AppendI64Key(nil, 5)})
		w.List(ListInput0, 0, 2, []int64{1001, 1999}, [][]byte{one, one})
		w.EndGroup()
		w.Begin(Group{Flags: GroupHasTimer, TimerTime: 3000})
		w.List(ListState, 1, 1, nil, [][]byte{[]byte("seen")})
		w.List(ListInput1, 0, 4, nil, [][]byte{[]byte("a"), nil})
		w.EndGroup()
		same(t, "groups", w.Bytes())
	}
}

func TestGoldenReply(t *testing.T) {
	first, rest, err := NextReplyEntry(golden(t, "reply"))
	if err != nil {
		t.Fatal(err)
	}
	second, rest, err := NextReplyEntry(rest)
	if err != nil || len(rest) != 0 || first.Group != 0 || second.Group != 2 {
		t.Fatalf("groups %d and %d, %d bytes left, %v", first.Group, second.Group, len(rest), err)
	}
	want := []Action{{Op: ActionPut, Value: AppendI64Key(nil, 7)}}
	if got := actions(t, first); !reflect.DeepEqual(got, want) {
		t.Errorf("group 0: %+v", got)
	}
	want = []Action{
		{Op: ActionPut, Index: 3, Value: []byte("abc")}, {Op: ActionClear, Index: 4},
		{Op: ActionSetTimer, Time: 5000}, {Op: ActionDeleteTimer, Index: 1, Time: 6000},
	}
	if got := actions(t, second); !reflect.DeepEqual(got, want) {
		t.Errorf("group 2: %+v", got)
	}
}

func TestGoldenReplyValues(t *testing.T) {
	entry, rest, err := NextReplyEntry(golden(t, "reply-values"))
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	gaps := AppendI64Key(AppendI64Key(nil, 1000), 30000)
	request := append([]byte{1, 0, 0, 0, 0xf4, 1, 0, 0, 5, 0, 0, 0, 14, 0, 0, 0}, `rates{"from":"CHF"}`...)
	want := []Action{
		{Op: ActionTrigger, Value: []byte{byte(TriggerContinue), byte(TriggerFire), byte(TriggerFireAndPurge)}},
		{Op: ActionKeep, Value: []byte{1<<0 | 1<<2}}, {Op: ActionGap, Value: gaps},
		{Op: ActionPartition, Value: []byte{3, 0, 0, 0, 0, 0, 0, 0}}, {Op: ActionRequest, Value: request},
	}
	if got := actions(t, entry); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func goldenRequest() (Request, HTTPRequest) {
	q := HTTPRequest{Method: "GET", URL: "https://rates.example.com/CHF", Headers: []HTTPHeader{{"Accept", "text/plain"}}, Body: []byte("hi")}
	return Request{TimeoutMs: 500, Target: []byte(ClientHTTP), Body: q.Append(nil)}, q
}

func TestGoldenRequest(t *testing.T) {
	want, wantHTTP := goldenRequest()
	same(t, "request", want.Append(nil))
	got, err := ParseRequest(golden(t, "request"))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if asked, err := ParseHTTPRequest(got.Body); err != nil || !reflect.DeepEqual(asked, wantHTTP) {
		t.Errorf("%+v, %v", asked, err)
	}
}

func TestGoldenAnswer(t *testing.T) {
	response := HTTPResponse{Headers: []HTTPHeader{{"X-Rate", "1"}}, Body: []byte("1.07")}
	want := Answer{Code: 200, Body: response.Append(nil)}
	same(t, "answer", want.Append(nil))
	got, err := ParseAnswer(golden(t, "answer"))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if r, err := ParseHTTPResponse(got.Body); err != nil || !reflect.DeepEqual(r, response) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestGoldenState(t *testing.T) {
	for name, want := range map[string][]StateRequest{
		"state-put":  {{Group: 3, State: 1, Key: []byte("whale"), Value: []byte("1685")}, {Group: None, Key: []byte{}, Value: []byte{}}},
		"state-scan": {{Group: 3, State: 1, Limit: 2, Cursor: 7, Key: []byte{}, Value: []byte{}}},
	} {
		same(t, name, AppendStateRequests(nil, want))
		if got, err := ParseStateRequests(nil, golden(t, name)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	same(t, "state-answer", AppendStateAnswers(nil, []StateAnswer{
		{More: true, Cursor: 9, Keys: [][]byte{[]byte("sea"), []byte("whale")}, Values: [][]byte{[]byte("blue"), []byte("white")}},
		{},
		{Timestamps: []int64{1001, 1002}, Values: [][]byte{[]byte("a"), nil}},
	}))
}

func actions(t *testing.T, e ReplyEntry) (all []Action) {
	t.Helper()
	p := e.Actions
	for range e.Count {
		var a Action
		var err error
		if a, p, err = NextAction(p); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	if len(p) != 0 {
		t.Errorf("group %d: %d bytes behind its actions", e.Group, len(p))
	}
	return all
}

func TestGoldenFailures(t *testing.T) {
	for name, want := range map[string]*Failure{
		"failure":         {Record: 81, Message: "no digits", Trace: "parse\n\tmain.go:7"},
		"failure-of-call": {Record: None, Message: "out of cheese"},
	} {
		same(t, name, want.Append(nil))
		if got, err := ParseFailure(golden(t, name)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestGoldenRows(t *testing.T) {
	var w RowWriter
	count := mustSchema(t, "row(key: utf8, value: i64)")
	w.Reset(count)
	w.SetBytes(0, []byte("whale"))
	w.SetI64(1, 1685)
	same(t, "row-count", w.AppendTo(nil))

	window := mustSchema(t, "row(start: ms, end: ms, key: utf8, value: i64)")
	w.Reset(window)
	w.SetI64(0, 60000)
	w.SetI64(1, 120000)
	w.SetI64(3, -1)
	same(t, "row-window", w.AppendTo(nil))

	letter := mustSchema(t, "row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)")
	w.Reset(letter)
	w.SetBytes(0, []byte("record"))
	w.SetNull(1)
	w.SetBytes(2, []byte("trap"))
	w.SetBytes(3, []byte("k,7"))
	same(t, "row-letter", w.AppendTo(nil))

	all, p := everythingRow(t)
	same(t, "row-all", p)

	wide := wideSchema()
	w.Reset(wide)
	w.SetI64(0, 5)
	w.SetI64(64, 6)
	same(t, "row-65", w.AppendTo(nil))

	for name, s := range map[string]*Schema{"row-count": count, "row-window": window, "row-letter": letter, "row-all": all, "row-65": wide} {
		p := golden(t, name)
		if err := Validate(s, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again := rewrite(s, p); !bytes.Equal(again, p) {
			t.Errorf("%s: written again as\n%x", name, again)
		}
	}
}

func TestGoldenKeys(t *testing.T) {
	var w RowWriter
	w.Reset(mustSchema(t, "row(word: utf8?)"))
	null := w.AppendTo(nil)
	w.Reset(mustSchema(t, "row(word: utf8?, a: f64, b: f64)"))
	w.SetBytes(0, []byte("sea"))
	w.SetF64(1, KeyFloat(math.Copysign(0, -1)))
	w.SetF64(2, KeyFloat(math.Float64frombits(0xfff8000000000123)))
	for name, c := range map[string]struct {
		codec Codec
		key   []byte
	}{
		"key-i64":       {CodecI64, AppendI64Key(nil, -2)},
		"key-utf8":      {CodecUTF8, []byte("möwe")},
		"key-f64":       {CodecF64, AppendF64Key(nil, 1.5)},
		"key-f64-zero":  {CodecF64, AppendF64Key(nil, math.Copysign(0, -1))},
		"key-f64-nan":   {CodecF64, AppendF64Key(nil, math.Float64frombits(0xfff8000000000123))},
		"key-nullable":  {"row(word: utf8?)", null},
		"key-composite": {"row(word: utf8?, a: f64, b: f64)", w.AppendTo(nil)},
	} {
		same(t, name, c.key)
		k, err := NewKeyCodec(c.codec)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Check(golden(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// rewrite reads a row that is valid and writes it again, field by field.
func rewrite(s *Schema, p []byte) []byte {
	r := s.Row(p)
	var w RowWriter
	w.Reset(s)
	for i := range s.Fields {
		switch f := &s.Fields[i]; {
		case r.Null(i):
			w.SetNull(i)
		case f.Type == TypeF64:
			w.SetI64(i, r.I64(i)) // its bits: a signalling NaN may not survive a float
		case f.Type.Variable():
			w.SetBytes(i, rewritePart(f, r.Bytes(i)))
		default:
			w.SetI64(i, r.I64(i))
		}
	}
	return w.AppendTo(nil)
}

func rewritePart(f *Field, p []byte) []byte {
	switch f.Type {
	case TypeRow:
		return rewrite(f.Row, p)
	case TypeDecimal:
		hi, lo := decimalOf(p)
		return AppendDecimal(nil, hi, lo)
	case TypeList:
		l := ListOf(p)
		var w ListWriter
		w.Reset(l.Len())
		for i := range l.Len() {
			switch {
			case l.Null(i):
				w.SetNull(i)
			case f.Elem.Type.Variable():
				w.SetBytes(i, rewritePart(f.Elem, l.Bytes(i)))
			default:
				w.SetI64(i, l.I64(i))
			}
		}
		return w.AppendTo(nil)
	}
	return p
}
