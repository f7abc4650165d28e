//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTriggeredWindowsInTheManifest(t *testing.T) {
	keyed := func(job *Env) *KeyedStream[string, string] {
		return KeyBy(Source(job, Files("x")), "key", func(s string) string { return s })
	}
	second := Tumbling(time.Second)
	for want, of := range map[string]func(*KeyedStream[string, string]) *WindowedStream[string, string]{
		`{"kind":"global","trigger":{"kind":"count","count":3,"purging":true}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(Global()).Trigger(AtCount(3).Purging())
		},
		`{"kind":"global","trigger":{"kind":"eventTime","purging":true}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(FullWindow())
		},
		`{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"continuousEventTime","everyMs":100}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(second).Trigger(EveryEventTime(100 * time.Millisecond))
		},
		`{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"delta","threshold":"2.5","field":"speed"}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(second).Trigger(AtDelta(2.5, "speed"))
		},
		`{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"count","count":2,"after":true}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(second).EvictCount(2).EvictAfter()
		},
		`{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"guest","function":"odd"}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(second).EvictBy("odd", false, func(Window, []string, func(int)) {})
		},
		`{"kind":"session","gap":"gap"}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.SessionBy("gap", func(string) time.Duration { return time.Second })
		},
		`{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"guest","function":"mine","purging":true}}`: func(s *KeyedStream[string, string]) *WindowedStream[string, string] {
			return s.Window(second).TriggerBy("mine", TriggerFunction[string]{}).Purging()
		},
	} {
		h := newHost(t, func(job *Env) {
			out := ProcessWindow(of(keyed(job)), "all", WindowFunction[string, string, string]{Process: func(*WindowContext[string, string], iter.Seq[string]) {}})
			out.UID("w").SinkTo(Print())
		})
		if got := h.describe(); !strings.Contains(got, `"kind":"window","function":"all"`) || !strings.Contains(got, `"window":`+want) {
			t.Errorf("expected %s in %s (%+v)", want, got, h.failures)
		}
	}
}

// A function has what came of the window, in its order, with its states; a folded one has the result.
func TestWindowFunctions(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s }).Window(Tumbling(time.Second))
		seen, times := NewValueState[int64](job, "seen"), NewValueState[int64](job, "times")
		ProcessWindow(s, "all", WindowFunction[string, string, string]{
			States: []State{seen}, WindowStates: []State{times},
			Process: func(c *WindowContext[string, string], values iter.Seq[string]) {
				all := slices.Collect(values)
				seen.Set(seen.GetOr(0) + int64(len(all)))
				times.Set(times.GetOr(0) + 1)
				c.Emit(c.Key() + strings.Join(all, "") + []string{" on time", " early", " late"}[c.Timing()] + " at " + strconv.FormatInt(c.Timestamp(), 10))
			},
		}).UID("a").SinkTo(Print())
	})
	manifest := h.describe()
	if want := `"states":[{"name":"seen","scope":"keyed","kind":"value","codec":"i64"},{"name":"times","scope":"window","kind":"value","codec":"i64"}]`; !strings.Contains(manifest, want) {
		t.Fatalf("expected %s in %s", want, manifest)
	}
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps}}})
	in := windowGroup("k", 1000, 2000, groupEarly, timed(appendList(nil, listInput, []string{"a", "b"}), 5, 6), stateList(nil, 0, n(2)), stateList(nil, 1))
	if status := guest.keyed(1, verbWindow, callOfGroups(in)); status != statusOK {
		t.Fatalf("status %d: %+v", status, h.failures)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if !slices.Equal(got.Values, []string{"kab early at 6"}) || !slices.Equal(got.Timestamps, []int64{1999}) {
		t.Errorf("emitted %+v", got)
	}
	want := map[uint32][]action{0: {{actionPut, 0, 0, n(4)}, {actionPut, 1, 0, n(1)}}}
	if got := h.actions(); !reflect.DeepEqual(got, want) {
		t.Errorf("actions %v, want %v", got, want)
	}
}

func TestSortWindow(t *testing.T) {
	for order, want := range map[Direction][]string{Ascending: {"c", "dd", "bbb", "aaa"}, Descending: {"bbb", "aaa", "dd", "c"}} {
		h := newHost(t, func(job *Env) {
			s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s }).Window(FullWindow())
			SortWindow(s, "sorted", func(s string) int { return len(s) }, order).UID("s").SinkTo(Print())
		})
		h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
		in := windowGroup("k", 0, 0, 0, appendList(nil, listInput, []string{"bbb", "c", "aaa", "dd"}))
		if status := guest.keyed(1, verbWindow, callOfGroups(in)); status != statusOK {
			t.Fatalf("status %d: %+v", status, h.failures)
		}
		if got := decodeRecords(t, h.emits[0].bytes); !slices.Equal(got.Values, want) {
			t.Errorf("%s: %q (expected %q)", order, got.Values, want)
		}
	}
}

func TestFoldedWindowFunction(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := KeyValueBy(Source(job, Files("x")), "key", ones).Window(Tumbling(time.Second))
		sum := Aggregator[int64, int64, string]{Create: func() int64 { return 0 }, Add: plus, Merge: plus, Result: func(n int64) string { return "sum " + string(rune('0'+n)) }}
		AggregateWindowWith(s, "sum", sum, FoldedFunction[string, string, string]{Process: func(c *WindowContext[string, string], v string) { c.Emit(v) }}).UID("s").SinkTo(Print())
	})
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	if got := h.keyed(verbAccumulate, testGroup{key: "k", records: []string{n(1), n(2)}, accums: []string{n(4)}}); got[0] != n(7) {
		t.Errorf("accumulated %q", got)
	}
	h.replies = nil
	if status := guest.keyed(1, verbWindow, callOfGroups(windowGroup("k", 0, 10, 0, appendList(nil, listAccumulators, []string{n(7)})))); status != statusOK {
		t.Fatalf("status %d: %+v", status, h.failures)
	}
	if got := decodeRecords(t, h.emits[0].bytes); !slices.Equal(got.Values, []string{"sum 7"}) || len(h.replies) > 0 {
		t.Errorf("emitted %+v, replies %q", got, h.replies)
	}
}

// A trigger answers once a record, sets timers of its window, and makes one of the states of sessions that have become one.
func TestTriggerFunctions(t *testing.T) {
	h := newHost(t, func(job *Env) {
		sum := NewReducingState(job, "sum", plus)
		s := KeyValueBy(Source(job, Files("x")), "key", ones).Window(Session(time.Second)).TriggerBy("full", TriggerFunction[int64]{
			States: []State{sum},
			Record: func(c *TriggerContext, v int64) Decision {
				c.SetTimer(c.Window().Start + 7)
				if sum.Add(v); v > 5 {
					return FireAndPurge
				}
				return Continue
			},
			Timer:  func(*TriggerContext, Timer) Decision { return Fire },
			Merged: func(c *TriggerContext) { c.SetTimer(c.Window().End) },
		})
		s.Sum().UID("s").SinkTo(Print())
	})
	if got := h.describe(); !strings.Contains(got, `"features":[1,2,3,4,6,8,12]`) {
		t.Fatalf("manifest %s", got)
	}
	h.open(functionSpec{id: 1, upstream: none})
	call := func(p []byte) map[uint32][]action {
		h.replies = nil
		if status := guest.keyed(1, verbTrigger, callOfGroups(p)); status != statusOK {
			t.Fatalf("status %d: %+v", status, h.failures)
		}
		return h.actions()
	}
	records := appendList(nil, listInput, []string{n(3), n(9)})
	for _, c := range []struct {
		group []byte
		want  []action
	}{
		{windowGroup("k", 10, 30, 0, records, stateList(nil, 0, n(1))), []action{{actionPut, 0, 0, n(13)}, {actionSetTimer, 0, 17, ""}, {actionSetTimer, 0, 17, ""}, {actionTrigger, 0, 0, "\x00\x03"}}},
		{windowGroup("k", 10, 30, groupHasTimer, stateList(nil, 0, n(1))), []action{{actionTrigger, 0, 0, "\x01"}}},
		{windowGroup("k", 10, 40, groupMerged, stateList(nil, 0, n(1), n(2), n(4))), []action{{actionPut, 0, 0, n(7)}, {actionSetTimer, 0, 40, ""}}},
	} {
		if got := call(c.group)[0]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("actions %v, want %v", got, c.want)
		}
	}
}

func TestEvictorsAndGapsAnswer(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := KeyValueBy(Source(job, Files("x")), "key", ones).SessionBy("gap", func(v int64) time.Duration { return time.Duration(v) * time.Second })
		s = s.EvictBy("even", true, func(_ Window, values []int64, keep func(int)) {
			for i, v := range values {
				if v%2 == 0 {
					keep(i)
				}
			}
		})
		ProcessWindow(s, "all", WindowFunction[string, int64, string]{Process: func(*WindowContext[string, string], iter.Seq[int64]) {}}).UID("w").SinkTo(Print())
	})
	if h.describe() == "" {
		t.Fatalf("describe: %+v", h.failures)
	}
	for _, c := range []struct {
		function, verb uint32
		want           action
	}{
		{1, verbGap, action{actionGap, 0, 0, n(3000) + n(4000)}},
		{2, verbEvict, action{actionKeep, 0, 0, "\x02"}},
	} {
		h.replies = nil
		guest.open(1, handleOf(functionSpec{id: c.function, upstream: none}))
		if status := guest.keyed(1, c.verb, callOfGroups(windowGroup("", 0, 0, 0, appendList(nil, listInput, []string{n(3), n(4)})))); status != statusOK {
			t.Fatalf("status %d: %+v", status, h.failures)
		}
		if got := h.actions()[0]; !reflect.DeepEqual(got, []action{c.want}) {
			t.Errorf("actions %v, want %v", got, c.want)
		}
	}
}

// windowGroup is a group of a window, without one if it is empty.
func windowGroup(key string, start, end int64, flags uint32, lists ...[]byte) []byte {
	if start < end {
		flags |= groupHasWindow
	}
	p := groupOf(key, flags, 0, lists...)
	binary.LittleEndian.PutUint64(p[8:], uint64(start))
	binary.LittleEndian.PutUint64(p[16:], uint64(end))
	return p
}

// What did not come with the call is asked for, as far as the function walks, and stays as it is while that has it.
func TestAWindowFunctionAsksForTheRest(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := KeyBy(Source(job, Files("x")), "key", func(s string) string { return s }).Window(Tumbling(time.Second))
		ProcessWindow(s, "all", WindowFunction[string, string, string]{Process: func(c *WindowContext[string, string], values iter.Seq[string]) {
			var all []string
			for v := range values {
				if all = append(all, v); v == "d" {
					break
				}
			}
			c.Emit(strings.Join(all, "+"))
		}}).UID("a").SinkTo(Print())
	})
	if manifest := h.describe(); !strings.Contains(manifest, `"pulls":true`) {
		t.Fatalf("expected pulls in %s", manifest)
	}
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	list := appendList(nil, listInput, []string{"a", "b"})
	binary.LittleEndian.PutUint32(list[8:], 9)
	var asked []uint64
	native.state = func(op uint32, in, out []byte) uint32 {
		cursor := binary.LittleEndian.Uint64(in[24:])
		asked = append(asked, cursor)
		answer := pageOf(stateMore, cursor+1, []string{string(rune('a' + cursor))})
		copy(out, answer)
		return uint32(len(answer))
	}
	if status := guest.keyed(1, verbWindow, callOfGroups(windowGroup("k", 0, 1000, 0, list))); status != statusOK {
		t.Fatalf("status %d: %+v", status, h.failures)
	}
	if got := decodeRecords(t, h.emits[0].bytes); !slices.Equal(got.Values, []string{"a+b+c+d"}) {
		t.Errorf("emitted %q", got.Values)
	}
	if want := []uint64{2, 3}; !slices.Equal(asked, want) {
		t.Errorf("asked for values from %d (expected %d)", asked, want)
	}
}
