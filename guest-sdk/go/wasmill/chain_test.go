//go:build !wasip1

package wasmill

import (
	"bytes"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func spaces(line string, emit func(string)) {
	for line != "" {
		word, rest, _ := strings.Cut(line, " ")
		emit(word)
		line = rest
	}
}

func same(s string) string { return s }

func TestBatchesHaveTheBytesOfTheSpecification(t *testing.T) {
	h := newHost(t, func(job *Env) {
		KeyBy(FlatMap(Source(job, Files("x")), "split", spaces), "word", same).Count().UID("c").SinkTo(Print())
	})
	h.open(functionSpec{id: 0, upstream: none}, functionSpec{id: 1, upstream: 0, outputs: []outputSpec{{0, 4, columnKeys}}})
	h.process(records{Values: []string{"call me", "", "ishmael"}})
	want := "010000000200000003000000400000000d0000000000000000000000000000000000000004000000060000000d00000063616c6c6d656973686d61656c000000"
	if len(h.emits) != 1 || h.emits[0].output != 4 || !bytes.Equal(h.emits[0].bytes, unhex(t, want)) {
		t.Errorf("emitted %x\nwant to output 4 %s", h.emits, want)
	}
	all := records{[]int64{17, 19, -5}, []string{"k1", "", "key3"}, []string{"one", "three333", ""}, []byte{0, 3, 2}, []string{"h", "", "xyz"}}
	want = "010000002f0000000300000090000000060000000b000000040000000000000011000000000000001300000000000000fbffffffffffffff0000000002000000020000000600000000000000030000000b0000000b0000000003020000000000000000000100000001000000040000006b316b65793300006f6e65746872656533333300000000006878797a00000000"
	if got := all.encode(); !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("all columns: %x\nwant %s", got, want)
	}
	if got := decodeRecords(t, unhex(t, want)); !reflect.DeepEqual(got, all) {
		t.Errorf("read as %+v, want %+v", got, all)
	}
}

// Keys of which nothing else is wanted have a way of their own, by length: each comes out as it is, over several batches and where
// the memory of a batch ends.
func TestKeysOfEveryLength(t *testing.T) {
	for _, room := range []int{0, 1, 7, 64 << 10} {
		h := newHost(t, func(job *Env) {
			KeyBy(FlatMap(Source(job, Files("x")), "split", spaces), "word", same).Count().UID("c").SinkTo(Print())
		})
		h.open(functionSpec{id: 0, upstream: none}, functionSpec{id: 1, upstream: 0, outputs: []outputSpec{{0, 0, columnKeys}}})
		out := guest.handles[1].outputs[0]
		out.keys = make([]byte, 0, room)
		var words []string
		for n := range 4000 {
			word := make([]byte, n%40)
			for i := range word {
				word[i] = '!' + byte(n+i)%90
			}
			words = append(words, string(word))
		}
		got := h.process(records{Values: []string{strings.Join(words, " ")}})[0].Keys
		if !reflect.DeepEqual(got, words) {
			t.Errorf("room for %d bytes: %d keys of %d, or others", room, len(got), len(words))
		}
	}
}

func TestViewSharesItsBytes(t *testing.T) {
	b := []byte("whale")
	if v := View(b); v != "whale" || unsafe.StringData(v) != &b[0] || View(nil) != "" {
		t.Errorf("view %q", v)
	}
}

func TestHandleOfTheHostIsRead(t *testing.T) {
	p := "68000000020000003000000000000000ffffffff000000000100000001000000000000000300000004000000000000006300000000000000300000000100000000000000000000000200000000000000000000000000000002000000000000000100000003000000"
	specs, ok := parseHandle(unhex(t, p))
	want := []functionSpec{{0, none, 0, []outputSpec{{0, 3, columnValues}}}, {1, 0, 0, []outputSpec{{0, 0, columnKeys}, {0, 1, columnKeys | columnTimestamps}}}}
	if !ok || !reflect.DeepEqual(specs, want) {
		t.Errorf("read %+v, want %+v", specs, want)
	}
	params := parseParams(unhex(t, "03000000000000000500000000000000656d7074790000000500000008000000696e7075746d6f62792e747874000000060000000100000077696e646f773500"))
	if wantParams := map[string]string{"input": "moby.txt", "window": "5", "empty": ""}; !reflect.DeepEqual(params, wantParams) {
		t.Errorf("parameters %q, want %q", params, wantParams)
	}
}

// TestBranches runs a chain that forks: what one branch does to keys and times must not show in the other.
func TestBranchesKeepTheirOwnKeysAndTimes(t *testing.T) {
	h := newHost(t, func(job *Env) {
		in := Source(job, Files("x"))
		long := Filter(in, "long", func(s string) bool { return len(s) > 1 })
		timed := AssignTimestamps(long, "time", func(s string) int64 { return int64(len(s)) }, 0)
		KeyBy(timed, "first", func(s string) string { return s[:1] }).Count().UID("a").SinkTo(Print())
		KeyValueBy(long, "size", func(s string) (int64, string) { return int64(len(s)), strings.ToUpper(s) }).Count().UID("b").SinkTo(Print())
	})
	all := uint32(columnKeys | columnValues | columnTimestamps | columnKinds | columnHeaders)
	h.open(
		functionSpec{id: 0, upstream: none, outputs: []outputSpec{{0, 0, all}}},
		functionSpec{id: 1, upstream: 0},
		functionSpec{id: 2, upstream: 1, outputs: []outputSpec{{0, 1, all}}},
		functionSpec{id: 3, upstream: 0, outputs: []outputSpec{{0, 2, all}, {0, 3, columnKeys}}},
	)
	got := h.process(records{
		Timestamps: []int64{100, 200, 300}, Keys: []string{"x", "y", "z"}, Values: []string{"ab", "c", "def"},
		Kinds: []byte{1, 2, 3}, Headers: []string{"h1", "h2", ""},
	})
	kinds, headers, sizes := []byte{1, 3}, []string{"h1", ""}, []string{"\x02\x00\x00\x00\x00\x00\x00\x00", "\x03\x00\x00\x00\x00\x00\x00\x00"}
	want := map[uint32]records{
		0: {[]int64{100, 300}, []string{"x", "z"}, []string{"ab", "def"}, kinds, headers},
		1: {[]int64{2, 3}, []string{"a", "d"}, []string{"ab", "def"}, kinds, headers},
		2: {[]int64{100, 300}, sizes, []string{"AB", "DEF"}, kinds, headers},
		3: {Keys: sizes},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !reflect.DeepEqual(h.watermark, []int64{3}) {
		t.Errorf("reported watermarks %v (expected the newest time, 3)", h.watermark)
	}
}

func TestRowsBehindANativeCountAreReadable(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := KeyBy(Source(job, Files("x")), "word", same)
		totals := Map(words.Count().UID("c"), "render", func(r KeyValue[string, int64]) string {
			return r.Key + "=" + strconv.FormatInt(r.Value, 10)
		})
		byWindow := Map(words.Window(Tumbling(time.Second)).Count().UID("w"), "render-window", func(r Windowed[string, int64]) string {
			return strconv.FormatInt(r.Start, 10) + ".." + strconv.FormatInt(r.End, 10) + " " + r.Key
		})
		Union(totals, byWindow).SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	row := string(keyValueCodec(utf8, i64).append(nil, KeyValue[string, int64]{"whale", 7}))
	if got := h.process(records{Values: []string{row}})[0].Values; !reflect.DeepEqual(got, []string{"whale=7"}) {
		t.Errorf("rendered %q", got)
	}
	guest.open(1, handleOf(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}}))
	row = string(windowedCodec(utf8, i64).append(nil, Windowed[string, int64]{Window{0, 1000}, "whale", 7}))
	if got := h.process(records{Values: []string{row}})[0].Values; !reflect.DeepEqual(got, []string{"0..1000 whale"}) {
		t.Errorf("rendered %q", got)
	}
}

func TestBatchesAreSentWhenFull(t *testing.T) {
	h := newHost(t, func(job *Env) {
		FlatMap(Source(job, Files("x")), "repeat", func(s string, emit func(string)) {
			for range 1025 {
				emit(s)
			}
		}).SinkTo(Print())
	})
	h.open(functionSpec{id: 0, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	h.process(records{Values: []string{"a", "b"}})
	if len(h.emits) != 3 {
		t.Errorf("2,050 records came in %d batches (expected 3)", len(h.emits))
	}
	got := h.process(records{Values: []string{strings.Repeat("x", 40<<10)}})
	if len(h.emits) != 513 || len(got[0].Values) != 1025 {
		t.Errorf("1,025 records of 40 KiB came in %d batches (expected 513)", len(h.emits))
	}
}

func TestPanicsNameTheRecordAndSpareTheInstance(t *testing.T) {
	h := newHost(t, func(job *Env) {
		Map(Source(job, Files("x")), "risky", func(s string) string {
			switch s {
			case "error":
				panic(errors.New("cannot parse"))
			case "text":
				panic("no")
			}
			return s[3:]
		}).SinkTo(Print())
	})
	h.open(functionSpec{id: 0, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	for _, c := range []struct{ last, message string }{
		{"error", "cannot parse"}, {"text", "no"}, {"ab", "slice bounds out of range"},
	} {
		h.failures = nil
		status := guest.process(1, callOf(records{Values: []string{"fine", "fine", c.last}}.encode()))
		if status != statusFailed || len(h.failures) != 1 || h.failures[0].record != 2 || !strings.Contains(h.failures[0].message, c.message) {
			t.Errorf("%s: status %d, failures %+v (expected %q of record 2)", c.last, status, h.failures, c.message)
		}
		if len(h.failures) == 1 && !strings.Contains(h.failures[0].trace, "TestPanicsNameTheRecord") {
			t.Errorf("%s: trace without the function's name: %s", c.last, h.failures[0].trace)
		}
		if got := h.process(records{Values: []string{"next"}})[0].Values; !reflect.DeepEqual(got, []string{"t"}) {
			t.Errorf("the call after the failure: %q (expected its own record only)", got)
		}
	}
}

func TestWrongCallsAreAnswered(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := Map(Source(job, Files("x")), "m", same)
		KeyBy(words, "k", same).Reduce("r", func(a, _ string) string { return a }).UID("r").SinkTo(Print())
	})
	h.describe()
	in := callOf(records{Values: []string{"a"}}.encode())
	for _, c := range []struct {
		what string
		got  uint32
		want uint32
	}{
		{"process before open", guest.process(7, in), statusUnknownHandle},
		{"keyed before open", guest.keyed(7, verbResult, in), statusUnknownHandle},
		{"close before open", guest.close(7), statusUnknownHandle},
		{"open of no function", guest.open(1, handleOf(functionSpec{id: 9, upstream: none})), statusUnknownFunction},
		{"open of a later upstream", guest.open(1, handleOf(functionSpec{id: 0, upstream: 0})), statusBadInput},
		{"open of a keyed function behind another", guest.open(1, handleOf(functionSpec{id: 0, upstream: none}, functionSpec{id: 2, upstream: 0})), statusBadInput},
		{"open of functions that do not fit", guest.open(1, handleOf(functionSpec{id: 2, upstream: none}, functionSpec{id: 0, upstream: 0})), statusBadInput},
		{"open of a side output", guest.open(1, handleOf(functionSpec{id: 0, upstream: none, outputs: []outputSpec{{1, 0, columnValues}}})), statusBadInput},
		{"open of no handle", guest.open(1, []byte{1, 2, 3}), statusBadInput},
		{"open", guest.open(1, handleOf(functionSpec{id: 0, upstream: none})), statusOK},
		{"process of no batch", guest.process(1, callOf([]byte{1, 2, 3})), statusBadInput},
		{"keyed without a keyed function", guest.keyed(1, verbResult, in), statusUnknownFunction},
		{"close", guest.close(1), statusOK},
	} {
		if c.got != c.want {
			t.Errorf("%s: status %d (expected %d)", c.what, c.got, c.want)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := FlatMap(Source(job, Files("x")), "split", spaces)
		timed := AssignTimestamps(words, "time", func(s string) int64 { return int64(len(s)) }, 0)
		KeyValueBy(timed, "word", func(s string) (string, order) { return s, order{1, s} }).Count().UID("c").SinkTo(Print())
		KeyBy(words, "plain", same).Count().UID("d").SinkTo(Print())
	})
	all := uint32(columnKeys | columnValues | columnTimestamps | columnKinds | columnHeaders)
	h.open(functionSpec{id: 0, upstream: none, outputs: []outputSpec{{0, 0, all}}},
		functionSpec{id: 1, upstream: 0},
		functionSpec{id: 2, upstream: 1, outputs: []outputSpec{{0, 1, all}}},
		functionSpec{id: 3, upstream: 0, outputs: []outputSpec{{0, 2, columnKeys}}})
	native.emit = func(uint32, []byte) {}
	native.watermark = func(int64) {}
	line := strings.Repeat("the whale ", 20)
	in := records{Timestamps: make([]int64, 300), Kinds: make([]byte, 300), Headers: make([]string, 300)}
	for range 300 {
		in.Values = append(in.Values, line)
	}
	call := callOf(in.encode())
	guest.process(1, call)
	if n := allocsPerRun(10, func() { guest.process(1, call) }); n > 0 {
		t.Errorf("a call of 6,000 words allocates %v times (expected none)", n)
	}
}

func BenchmarkWords(b *testing.B) {
	guest = instance{codecs: guest.codecs, define: func(job *Env) {
		KeyBy(FlatMap(Source(job, Files("x")), "split", spaces), "word", same).Count().UID("d").SinkTo(Print())
	}}
	native.emit = func(uint32, []byte) {}
	guest.describe(make([]byte, 8))
	guest.open(1, handleOf(functionSpec{id: 0, upstream: none}, functionSpec{id: 1, upstream: 0, outputs: []outputSpec{{0, 0, columnKeys}}}))
	call := callOf(records{Values: []string{strings.Repeat("the whale ", 500)}}.encode())
	b.ReportAllocs()
	for b.Loop() {
		guest.process(1, call)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/word")
}
