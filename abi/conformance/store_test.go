package conformance_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// store is the state and the timers of one function.
type store struct {
	cells  map[cellKey]*cellContent
	timers map[timerKey]bool
}

// place is where a state or timer belongs: to a key, to a key in a window ("0..1000"), or to the operator.
type place struct{ key, window string }

// own is the place of what belongs to the operator. No key has a window of that name.
var own = place{window: "own"}

type cellKey struct {
	place
	state uint16
}

// cellContent is what a state holds for a key; which field, its kind says.
type cellContent struct {
	value   []byte // nil: not set
	list    [][]byte
	entries map[string][]byte
}

type timerKey struct {
	place
	clock uint16 // 0 event, 1 processing time
	at    int64
}

func newStore() *store {
	return &store{cells: make(map[cellKey]*cellContent), timers: make(map[timerKey]bool)}
}

func (s *store) clone() *store {
	c := &store{cells: make(map[cellKey]*cellContent), timers: maps.Clone(s.timers)}
	for k, v := range s.cells {
		c.cells[k] = &cellContent{value: v.value, list: slices.Clone(v.list), entries: maps.Clone(v.entries)}
	}
	return c
}

func (s *store) cell(at place, state uint16) *cellContent {
	k := cellKey{at, state}
	if s.cells[k] == nil {
		s.cells[k] = new(cellContent)
	}
	return s.cells[k]
}

func (c *cellContent) sorted() (keys, values [][]byte) {
	keys = [][]byte{}
	for _, k := range slices.Sorted(maps.Keys(c.entries)) {
		keys, values = append(keys, []byte(k)), append(values, c.entries[k])
	}
	return keys, values
}

// due returns the first timer of each place that is due on a clock, in the order of their keys.
func (s *store) due(clock uint16, now int64) (due []timerKey) {
	first := make(map[place]timerKey)
	for t := range s.timers {
		if f, ok := first[t.place]; t.clock == clock && t.at <= now && (!ok || t.at < f.at) {
			first[t.place] = t
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(first), comparePlaces) {
		due = append(due, first[at])
	}
	return due
}

func comparePlaces(a, b place) int {
	return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.window, b.window))
}

// forget removes all that is of a place.
func (s *store) forget(at place) {
	maps.DeleteFunc(s.cells, func(k cellKey, _ *cellContent) bool { return k.place == at })
	maps.DeleteFunc(s.timers, func(k timerKey, _ bool) bool { return k.place == at })
}

// print writes what there is of each key, of each key in a window, and of the operator.
//
//	"whale" sum=7 all=["a" "b"] counts=["a"=1] event=1500 processing=20
//	"whale" 0..1000 results=2
//	own rules=["a"=1]
func (s *store) print(f abi.Function) string {
	keys := make(map[place][]string)
	for k, state := range f.States {
		for at, c := range s.cells {
			if int(at.state) != k {
				continue
			}
			if text := c.print(state); text != "" {
				keys[at.place] = append(keys[at.place], state.Name+"="+text)
			}
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(s.timers), func(a, b timerKey) int { return int(a.at - b.at) }) {
		keys[t.place] = append(keys[t.place], fmt.Sprintf("%s=%d", []string{"event", "processing"}[t.clock], t.at))
	}
	var out strings.Builder
	for _, at := range slices.SortedFunc(maps.Keys(keys), comparePlaces) {
		name := "own"
		if at != own {
			name = strings.TrimSpace(printKey(f.Key, []byte(at.key)) + " " + at.window)
		}
		fmt.Fprintf(&out, "%s %s\n", name, strings.Join(keys[at], " "))
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (c *cellContent) print(s abi.State) string {
	var parts []string
	switch {
	case c.value != nil:
		return printValue(s.Codec, c.value)
	case len(c.list) > 0:
		for _, v := range c.list {
			parts = append(parts, printValue(s.Codec, v))
		}
	case len(c.entries) > 0:
		keys, values := c.sorted()
		for i := range keys {
			parts = append(parts, printKey(s.Key, keys[i])+"="+printValue(s.Codec, values[i]))
		}
	default:
		return ""
	}
	return "[" + strings.Join(parts, " ") + "]"
}
