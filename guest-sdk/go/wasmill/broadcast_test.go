//go:build !wasip1

package wasmill

import (
	"slices"
	"strings"
	"testing"
)

func defineBroadcast(job *Env) {
	words := KeyBy(Source(job, Files("x")), "word", same)
	rules := Source(job, Files("y"))
	known := NewBroadcastState[string, string](job, "rules")
	ProcessBroadcast(words, rules, "apply", BroadcastFunction[string, string, string, string]{
		States: []State{known},
		Process: func(c *Context[string, string], w string) {
			if to, ok := known.Get(w); ok {
				c.Emit(c.Key() + ">" + to)
			}
			for k, v := range known.All() {
				c.Emit(k + "=" + v)
			}
		},
		Broadcast: func(c *StreamContext[string], r string) {
			from, to, _ := strings.Cut(r, ":")
			if to == "" {
				known.Delete(from)
			} else {
				known.Put(from, to)
			}
		},
	}).UID("apply").SinkTo(Print())
	CoMap(words.stream(), rules, "both", func(w string) string { return "w " + w }, func(r string) string { return "r " + r }).SinkTo(Print())
	CoFlatMap(rules, rules, "each", func(a string, emit func(string)) {
		for _, r := range a {
			emit(string(r))
		}
	}, func(string, func(string)) {}).SinkTo(Print())
}

// stream is the records of a keyed stream, before their key.
func (s *KeyedStream[K, V]) stream() *Stream[V] {
	return &Stream[V]{env: s.env, op: s.op.inputs[0].from, codec: s.value}
}

func TestBroadcastInTheManifest(t *testing.T) {
	got := newHost(t, defineBroadcast).describe()
	for _, want := range []string{
		`"features":[1,2,3,5,14,16]`,
		`{"id":1,"name":"apply","kind":"process","inputs":["utf8","utf8"],"key":"utf8","output":"utf8","states":[{"name":"rules","scope":"broadcast","kind":"map","codec":"utf8","key":"utf8"}]}`,
		`{"name":"apply","uid":"apply","kind":"process","function":"apply","inputs":[{"from":"word"},{"from":"files-2","partition":"broadcast"}],"output":"utf8"}`,
		`{"id":2,"name":"both","kind":"process","inputs":["utf8","utf8"],"output":"utf8"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}

func TestBroadcastWithoutStateIsRefused(t *testing.T) {
	h := newHost(t, func(job *Env) {
		s := Source(job, Files("x"))
		ProcessBroadcastStream(s, s, "p", BroadcastStreamFunction[string, string, string]{
			Process: func(*StreamContext[string], string) {}, Broadcast: func(*StreamContext[string], string) {},
		}).UID("p").SinkTo(Print())
	})
	h.describe()
	if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, `process "p": no broadcast state`) {
		t.Errorf("%+v", h.failures)
	}
}

// Records of the broadcast stream change the state, which is no group's; those of the other read it.
func TestBroadcastStateIsTheOperators(t *testing.T) {
	h, s := newHost(t, defineBroadcast), newStateHost()
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnKeys}}})
	in := callOfGroups(groupOf("", 0, 0, appendList(nil, listInput1, []string{"a:1", "b:2", "c:3", "b:"})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK || len(h.replies) > 0 {
		t.Fatalf("status %d, %+v, replies %x", status, h.failures, h.replies)
	}
	if rules := s.maps[[2]uint32{0, none}]; len(rules) != 2 || rules["a"] != "1" || rules["c"] != "3" {
		t.Errorf("rules %v", s.maps)
	}
	in = callOfGroups(groupOf("a", 0, 0, appendList(nil, listInput, []string{"a"})), groupOf("x", 0, 0, appendList(nil, listInput, []string{"x"})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if want := []string{"a>1", "a=1", "c=3", "a=1", "c=3"}; !slices.Equal(got.Values, want) {
		t.Errorf("emitted %q (expected %q)", got.Values, want)
	}
	if want := []string{"a", "a", "a", "x", "x"}; !slices.Equal(got.Keys, want) {
		t.Errorf("keys %q (expected %q)", got.Keys, want)
	}
}

func TestCoMapHasAFunctionForEachInput(t *testing.T) {
	h := newHost(t, defineBroadcast)
	h.open(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	in := callOfGroups(groupOf("", 0, 0, appendList(nil, listInput, []string{"a"})), groupOf("", 0, 0, appendList(nil, listInput1, []string{"b"})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	if got := decodeRecords(t, h.emits[0].bytes); !slices.Equal(got.Values, []string{"w a", "r b"}) {
		t.Errorf("emitted %q", got.Values)
	}
}

// A broadcast record that asks for the keys of a state is applied to those that the host calls with.
func TestBroadcastRecordsAreAppliedToKeys(t *testing.T) {
	h := newHost(t, func(job *Env) {
		total, rules := NewValueState[int64](job, "total"), NewBroadcastState[string, string](job, "rules")
		ProcessBroadcast(KeyBy(Source(job, Files("x")), "key", same), Source(job, Files("y")), "totals", BroadcastFunction[string, string, string, string]{
			States:    []State{rules, total},
			Process:   func(c *Context[string, string], word string) {},
			Broadcast: func(c *StreamContext[string], rule string) { c.ApplyToKeys(total) },
			Apply:     func(c *Context[string, string], rule string) { c.Emit(c.Key() + " " + rule) },
		}).UID("totals").SinkTo(Print())
	})
	got := h.describe()
	for _, want := range []string{`"applies":true`, `"features":[1,2,3,5,14,20]`} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
	newStateHost()
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	if status := guest.keyed(1, verbProcess, callOfGroups(groupOf("", 0, 0, appendList(nil, listInput1, []string{"off"})))); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	if len(h.replies) != 1 || h.replies[0][20] != actionApply || h.replies[0][22] != 1 {
		t.Fatalf("replies %x (expected one that applies to state 1)", h.replies)
	}
	if status := guest.keyed(1, verbApply, callOfGroups(groupOf("a", 0, 0, appendList(nil, listInput1, []string{"off"})), groupOf("b", 0, 0, appendList(nil, listInput1, []string{"off"})))); status != statusOK {
		t.Fatalf("status %d, %+v", status, h.failures)
	}
	if got := decodeRecords(t, h.emits[0].bytes); len(got.Values) != 2 || got.Values[0] != "a off" || got.Values[1] != "b off" {
		t.Errorf("emitted %q", got.Values)
	}
}
