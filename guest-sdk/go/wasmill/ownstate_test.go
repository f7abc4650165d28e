//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
)

// A process function without key has lists of the operator, asked for with no group, and begins before its first record.
func TestListsOfTheOperator(t *testing.T) {
	states := newStateHost()
	h := newHost(t, func(job *Env) {
		held, shared := NewOperatorListState[string](job, "held"), NewUnionListState[string](job, "shared")
		lines := Source(job, Files("in"))
		ProcessStream(lines, "hold", StreamFunction[string, string]{
			States: []State{held, shared},
			Begin:  func(c *StreamContext[string]) { shared.Clear() },
			Process: func(c *StreamContext[string], line string) {
				held.Add(line)
				for l := range shared.All() {
					c.Emit(l + line)
				}
				if i, n := c.Subtask(); i != 1 || n != 3 {
					c.Emit("another subtask")
				}
			},
		}).UID("hold").SinkTo(Print())
		CoProcessStreams(lines, lines, "both", CoStreamFunction[string, string, string]{
			Process1: func(*StreamContext[string], string) {}, Process2: func(*StreamContext[string], string) {},
		}).SinkTo(Print())
	})
	manifest := h.describe()
	for _, part := range []string{
		`"features":[1,2,3,5,16]`,
		`{"id":0,"name":"hold","kind":"process","inputs":["utf8"],"output":"utf8","begins":true,"states":[{"name":"held","scope":"operator","kind":"list","codec":"utf8"},` +
			`{"name":"shared","scope":"operator","kind":"union","codec":"utf8"}]}`,
		`{"id":1,"name":"both","kind":"process","inputs":["utf8","utf8"],"output":"utf8"}`,
	} {
		if !strings.Contains(manifest, part) {
			t.Errorf("manifest %s\nhas no %s", manifest, part)
		}
	}
	h.open(functionSpec{id: 0, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	call := func(verb uint32, groups ...[]byte) {
		t.Helper()
		p := callOfGroups(groups...)
		binary.LittleEndian.PutUint32(p[28:], 1)
		binary.LittleEndian.PutUint32(p[32:], 3)
		if status := guest.keyed(1, verb, p); status != statusOK {
			t.Fatalf("verb %d: status %d, %+v", verb, status, h.failures)
		}
	}
	own := func(state uint32) [2]uint32 { return [2]uint32{state, none} }
	states.lists[own(1)] = []string{"old"}
	call(verbBegin, groupOf("", 0, 0))
	if states.lists[own(1)] != nil {
		t.Errorf("shared is %q behind the beginning", states.lists[own(1)])
	}
	states.lists[own(1)] = []string{"a", "b"}
	call(verbProcess, groupOf("", 0, 0, appendList(nil, listInput, []string{"x", "y"})))
	want := records{Values: []string{"ax", "bx", "ay", "by"}}.encode()
	if len(h.emits) != 1 || !reflect.DeepEqual(h.emits[0].bytes, want) {
		t.Errorf("emitted %q (expected %q)", h.emits, want)
	}
	if got := states.lists[own(0)]; !reflect.DeepEqual(got, []string{"x", "y"}) {
		t.Errorf("held is %q", got)
	}
}
