package wasmill

import (
	"strings"
	"testing"
	"time"
)

func TestTimesOfStatesInTheManifest(t *testing.T) {
	got := newHost(t, func(job *Env) {
		value := NewValueState[string](job, "value").TTL(time.Hour).EventTimeTTL(time.Minute)
		list := NewListState[string](job, "list").EventTimeTTL(time.Second)
		entries := NewMapState[string, string](job, "map").EventTimeTTL(time.Minute).TTL(time.Hour)
		sum := NewReducingState(job, "sum", func(a, b int64) int64 { return a + b }).EventTimeTTL(time.Minute)
		Process(KeyBy(Source(job, Files("x")), "word", func(s string) string { return s }), "recent", ProcessFunction[string, string, string]{
			States:  []State{value, list, entries, sum},
			Process: func(*Context[string, string], string) {},
		}).UID("recent").SinkTo(Print())
	}).describe()
	for _, want := range []string{
		`"features":[1,2,3,19]`,
		`{"name":"value","scope":"keyed","kind":"value","codec":"utf8","ttlMs":60000,"time":"event"}`,
		`{"name":"list","scope":"keyed","kind":"list","codec":"utf8","ttlMs":1000,"time":"event"}`,
		`{"name":"map","scope":"keyed","kind":"map","codec":"utf8","key":"utf8","ttlMs":3600000}`,
		`{"name":"sum","scope":"keyed","kind":"value","codec":"i64","ttlMs":60000,"time":"event"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("expected %s in\n%s", want, got)
		}
	}
}
