//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostGroups are two groups as the host writes them: whale in the window 1000..2000 with the records 1 and 2 and the
// accumulator 40, and me without window or accumulator and with the record 5.
const hostGroups = "10000000020000000000000000000000a000000001000000e803000000000000d007000000000000000000000000000005000000020000007768616c65000000480000000000000002000000020000000100000010000000e903000000000000ea03000000000000000000000800000010000000000000000100000000000000020000000000000028000000020000000100000001000000000000000800000000000000080000002800000000000000580000000000000000000000000000000000000000000000000000000000000002000000010000006d6500000000000028000000000000000100000001000000000000000800000000000000080000000500000000000000"

func ones(w string) (string, int64) { return w, 1 }
func plus(a, b int64) int64         { return a + b }

func TestReduceFoldsTheRecordsOfAGroup(t *testing.T) {
	h := newHost(t, func(job *Env) {
		KeyValueBy(Source(job, Files("x")), "word", ones).Reduce("add", plus).UID("r").SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	if status := guest.keyed(1, verbAccumulate, callOf(unhex(t, hostGroups))); status != statusOK {
		t.Fatalf("accumulate: status %d, %+v", status, h.failures)
	}
	want := "28000000000000000100000000000000" + "18000000010000000800000000000000" + "2b00000000000000" +
		"28000000010000000100000000000000" + "18000000010000000800000000000000" + "0500000000000000"
	if len(h.replies) != 1 || hex.EncodeToString(h.replies[0]) != want {
		t.Errorf("reply %x\nwant  %s", h.replies, want)
	}
	if len(h.emits) != 0 {
		t.Errorf("accumulate emitted %x", h.emits)
	}
}

// testGroup is a group in a form that tests can write.
type testGroup struct {
	window  Window
	key     string
	records []string
	accums  []string
}

// groupsOf encodes groups as the host does.
func groupsOf(groups ...testGroup) []byte {
	le := binary.LittleEndian
	p := make([]byte, groupsHeaderBytes)
	le.PutUint32(p, groupsHeaderBytes)
	le.PutUint32(p[4:], uint32(len(groups)))
	for _, g := range groups {
		at := len(p)
		p = append(p, make([]byte, groupHeaderBytes)...)
		if g.window != (Window{}) {
			le.PutUint32(p[at+4:], groupHasWindow)
		}
		le.PutUint64(p[at+8:], uint64(g.window.Start))
		le.PutUint64(p[at+16:], uint64(g.window.End))
		le.PutUint32(p[at+32:], uint32(len(g.key)))
		le.PutUint32(p[at+36:], 2)
		p = append(p, g.key...)
		p = appendPad(p, len(g.key))
		p = appendList(p, listInput, g.records)
		p = appendList(p, listAccumulators, g.accums)
		le.PutUint32(p[at:], uint32(len(p)-at))
	}
	return p
}

func appendList(p []byte, tag uint16, values []string) []byte {
	le := binary.LittleEndian
	at, off := len(p), 0
	p = append(p, make([]byte, listHeaderBytes)...)
	p = le.AppendUint32(p, 0)
	for _, v := range values {
		off += len(v)
		p = le.AppendUint32(p, uint32(off))
	}
	p = appendPad(p, len(p)-at)
	p = append(p, strings.Join(values, "")...)
	p = appendPad(p, off)
	le.PutUint32(p[at:], uint32(len(p)-at))
	le.PutUint16(p[at+4:], tag)
	le.PutUint32(p[at+8:], uint32(len(values)))
	le.PutUint32(p[at+12:], uint32(len(values)))
	le.PutUint32(p[at+20:], uint32(off))
	return p
}

// keyed calls handle 1 and returns the values that it put, by group.
func (h *fakeHost) keyed(verb uint32, groups ...testGroup) map[uint32]string {
	h.t.Helper()
	h.emits, h.replies = nil, nil
	if status := guest.keyed(1, verb, callOf(groupsOf(groups...))); status != statusOK {
		h.t.Fatalf("verb %d: status %d, %+v", verb, status, h.failures)
	}
	puts := make(map[uint32]string)
	for _, p := range h.replies {
		for le := binary.LittleEndian; len(p) > 0; p = p[le.Uint32(p):] {
			puts[le.Uint32(p[4:])] = string(p[32 : 32+le.Uint32(p[24:])])
		}
	}
	return puts
}

func n(v int64) string { return string(appendI64(nil, v)) }

func TestWindowedReduceEmitsItsResult(t *testing.T) {
	h := newHost(t, func(job *Env) {
		in := KeyValueBy(Source(job, Files("x")), "word", ones).Window(Tumbling(time.Second))
		in.Reduce("add", plus).UID("a").SinkTo(Print())
		ReduceWindowTo(in, "lines", plus, func(w Window, word string, n int64) string {
			return strconv.FormatInt(w.Start, 10) + "\t" + word + "\t" + strconv.FormatInt(n, 10)
		}).UID("b").SinkTo(Print())
	})
	h.open(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 5, columnKeys | columnValues | columnTimestamps}}})
	w := Window{1000, 2000}
	if got := h.keyed(verbMerge, testGroup{w, "whale", nil, []string{n(1), n(2), n(4)}}, testGroup{w, "me", nil, nil}); !reflect.DeepEqual(got, map[uint32]string{0: n(7)}) {
		t.Errorf("merge put %q", got)
	}
	if puts := h.keyed(verbResult, testGroup{w, "whale", nil, []string{n(7)}}, testGroup{w, "me", nil, []string{n(2)}}); len(puts) != 0 {
		t.Errorf("result put %q (expected nothing)", puts)
	}
	want := records{Timestamps: []int64{1999, 1999}, Keys: []string{"whale", "me"}, Values: []string{"1000\twhale\t7", "1000\tme\t2"}}
	if len(h.emits) != 1 || h.emits[0].output != 5 {
		t.Fatalf("emits %+v", h.emits)
	}
	if got := decodeRecords(t, h.emits[0].bytes); !reflect.DeepEqual(got, want) {
		t.Errorf("emitted %q, want %q", got, want)
	}

	guest.open(1, handleOf(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}}))
	h.keyed(verbResult, testGroup{w, "whale", nil, []string{n(7)}})
	row := windowedCodec(utf8, i64).append(nil, Windowed[string, int64]{w, "whale", 7})
	if got := decodeRecords(t, h.emits[0].bytes).Values; !reflect.DeepEqual(got, []string{string(row)}) {
		t.Errorf("emitted %q, want %q", got, row)
	}
}

func TestAggregateCreatesAddsMergesAndEmitsToTheFunctionBehindIt(t *testing.T) {
	texts := Aggregator[string, string, int]{
		Create: func() string { return "<" },
		Add:    func(a, v string) string { return a + v },
		Merge:  func(a, b string) string { return a + b },
		Result: func(a string) int { return len(a) },
	}
	h := newHost(t, func(job *Env) {
		in := KeyBy(Source(job, Files("x")), "word", same)
		Map(Aggregate(in, "texts", texts).UID("a"), "render", func(r KeyValue[string, int]) string {
			return r.Key + strconv.Itoa(r.Value)
		}).SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none}, functionSpec{id: 2, upstream: 0, outputs: []outputSpec{{0, 0, columnValues}}})
	if got := h.keyed(verbCreate, testGroup{key: "k"}); got[0] != "<" {
		t.Errorf("create put %q", got)
	}
	got := h.keyed(verbAccumulate, testGroup{key: "k", records: []string{"a", "b"}}, testGroup{key: "l", records: []string{"c"}, accums: []string{"<x"}})
	if want := map[uint32]string{0: "<ab", 1: "<xc"}; !reflect.DeepEqual(got, want) {
		t.Errorf("accumulate put %q, want %q", got, want)
	}
	if got := h.keyed(verbMerge, testGroup{key: "k", accums: []string{"<ab", "<c"}}); got[0] != "<ab<c" {
		t.Errorf("merge put %q", got)
	}
	h.keyed(verbResult, testGroup{key: "k", accums: []string{"<ab"}})
	if got := decodeRecords(t, h.emits[0].bytes).Values; !reflect.DeepEqual(got, []string{"k3"}) {
		t.Errorf("emitted %q", got)
	}
	if status := guest.keyed(1, 9, callOf(groupsOf())); status != statusUnknownVerb {
		t.Errorf("verb 9: status %d (expected %d)", status, statusUnknownVerb)
	}
}

func TestPanicInAGroupNamesIt(t *testing.T) {
	h := newHost(t, func(job *Env) {
		KeyValueBy(Source(job, Files("x")), "word", ones).Reduce("divide", func(a, b int64) int64 { return a / b }).UID("r").SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	in := callOf(groupsOf(testGroup{key: "a", records: []string{n(4), n(2)}}, testGroup{key: "b", records: []string{n(4), n(0)}}))
	if status := guest.keyed(1, verbAccumulate, in); status != statusFailed || h.failures[0].record != 1 || !strings.Contains(h.failures[0].message, "divide by zero") {
		t.Errorf("status %d, failures %+v", status, h.failures)
	}
	if got := h.keyed(verbAccumulate, testGroup{key: "a", records: []string{n(4), n(2)}}); !reflect.DeepEqual(got, map[uint32]string{0: n(2)}) {
		t.Errorf("the call after the failure put %q", got)
	}
}

func TestKeyedSteadyStateAllocatesNothing(t *testing.T) {
	h := newHost(t, func(job *Env) {
		KeyValueBy(Source(job, Files("x")), "word", ones).Reduce("add", plus).UID("r").SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	native.reply, native.emit = func([]byte) {}, func(uint32, []byte) {}
	var groups []testGroup
	for range 500 {
		groups = append(groups, testGroup{Window{}, "whale", []string{n(1), n(2)}, []string{n(3)}})
	}
	in := callOf(groupsOf(groups...))
	for _, verb := range []uint32{verbAccumulate, verbResult} {
		guest.keyed(1, verb, in)
		if allocs := allocsPerRun(10, func() { guest.keyed(1, verb, in) }); allocs > 0 {
			t.Errorf("verb %d of 500 groups allocates %v times (expected none)", verb, allocs)
		}
	}
}

// allocsPerRun is testing.AllocsPerRun without what others allocate: that counts the whole process, so the least of a few tries is
// f's.
func allocsPerRun(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for try := 1; try < 5 && least > 0; try++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
