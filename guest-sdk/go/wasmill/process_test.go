//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stateHost answers the state import from Go maps, as a host does: entries by state, group and key.
type stateHost struct {
	lists map[[2]uint32][]string
	maps  map[[2]uint32]map[string]string
	late  []string // elements of a list of records that did not fit the call
	calls int
}

func newStateHost() *stateHost {
	h := &stateHost{lists: map[[2]uint32][]string{}, maps: map[[2]uint32]map[string]string{}}
	native.state = h.answer
	return h
}

func (h *stateHost) answer(op uint32, p, out []byte) uint32 {
	h.calls++
	le := binary.LittleEndian
	var answers []byte
	n := le.Uint32(p)
	at := 8
	for range n {
		q := p[at:]
		size, key, value := int(le.Uint32(q)), int(le.Uint32(q[24:])), int(le.Uint32(q[28:]))
		k := string(q[32 : 32+key])
		v := string(q[32+(key+7)&^7:][:value])
		id := [2]uint32{uint32(le.Uint16(q[8:])), le.Uint32(q[4:])}
		at += size
		switch op {
		case statePut:
			if h.maps[id] == nil {
				h.maps[id] = map[string]string{}
			}
			h.maps[id][k] = v
		case stateAppend:
			h.lists[id] = append(h.lists[id], v)
		case stateDelete:
			if key == 0 {
				delete(h.maps, id)
				delete(h.lists, id)
			}
			delete(h.maps[id], k)
		case stateGet:
			if v, ok := h.maps[id][k]; ok {
				answers = append(answers, answerOf(nil, []string{v})...)
			} else {
				answers = append(answers, answerOf(nil, nil)...)
			}
		case stateScan:
			if m := h.maps[id]; m != nil {
				keys := slices.Sorted(maps.Keys(m))
				var values []string
				for _, k := range keys {
					values = append(values, m[k])
				}
				answers = append(answers, answerOf(keys, values)...)
			} else {
				answers = append(answers, answerOf(nil, h.lists[id])...)
			}
		case stateRecords:
			answers = append(answers, answerOf(nil, h.late)...)
		}
	}
	if answers == nil {
		return 0
	}
	whole := append(le.AppendUint64(nil, uint64(n)), answers...)
	if len(whole) <= len(out) {
		copy(out, whole)
	}
	return uint32(len(whole))
}

func answerOf(keys, values []string) []byte {
	le := binary.LittleEndian
	p := make([]byte, stateAnswerBytes)
	offsets := func(all []string) int {
		end, at := 0, len(p)
		p = le.AppendUint32(p, 0)
		for _, s := range all {
			end += len(s)
			p = le.AppendUint32(p, uint32(end))
		}
		p = appendPad(p, len(p)-at)
		return end
	}
	keyBytes := 0
	if keys != nil {
		le.PutUint32(p[4:], stateHasKeys)
		keyBytes = offsets(keys)
	}
	valueBytes := offsets(values)
	p = appendPad(append(p, strings.Join(keys, "")...), keyBytes)
	p = appendPad(append(p, strings.Join(values, "")...), valueBytes)
	le.PutUint32(p, uint32(len(p)))
	le.PutUint32(p[16:], uint32(len(values)))
	le.PutUint32(p[20:], uint32(keyBytes))
	le.PutUint32(p[24:], uint32(valueBytes))
	return p
}

// stateList is a list of tag 4.
func stateList(p []byte, index uint16, values ...string) []byte {
	at := len(p)
	p = appendList(p, listState, values)
	binary.LittleEndian.PutUint16(p[at+6:], index)
	return p
}

// groupOf is a group with lists of its own making.
func groupOf(key string, flags uint32, timer int64, lists ...[]byte) []byte {
	le := binary.LittleEndian
	p := make([]byte, groupHeaderBytes)
	le.PutUint32(p[4:], flags)
	le.PutUint64(p[24:], uint64(timer))
	le.PutUint32(p[32:], uint32(len(key)))
	le.PutUint32(p[36:], uint32(len(lists)))
	p = appendPad(append(p, key...), len(key))
	for _, l := range lists {
		p = append(p, l...)
	}
	le.PutUint32(p, uint32(len(p)))
	return p
}

func callOfGroups(groups ...[]byte) []byte {
	p := make([]byte, groupsHeaderBytes)
	binary.LittleEndian.PutUint32(p, groupsHeaderBytes)
	binary.LittleEndian.PutUint32(p[4:], uint32(len(groups)))
	for _, g := range groups {
		p = append(p, g...)
	}
	return callOf(p)
}

// action is one action of a reply.
type action struct {
	op, index uint16
	time      int64
	value     string
}

// actions reads the replies of a call, by group.
func (h *fakeHost) actions() map[uint32][]action {
	le := binary.LittleEndian
	all := map[uint32][]action{}
	for _, p := range h.replies {
		for len(p) > 0 {
			size, group, n := le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:])
			q := p[replyEntryBytes:size]
			for range n {
				a := action{op: le.Uint16(q[4:]), index: le.Uint16(q[6:])}
				if a.op != actionSetTimer && a.op != actionDeleteTimer {
					a.value = string(q[16 : 16+le.Uint32(q[8:])])
				} else {
					a.time = int64(le.Uint64(q[8:]))
				}
				all[group] = append(all[group], a)
				q = q[le.Uint32(q):]
			}
			p = p[size:]
		}
	}
	return all
}

// defineSums sums words' numbers by key, keeps what came in a list and a map, and sets a timer at 100 behind each.
func defineSums(job *Env) {
	sum := NewValueState[int64](job, "sum")
	seen := NewListState[int64](job, "seen")
	by := NewMapState[string, int64](job, "by")
	odd := NewSide[int64](job, "odd")
	in := KeyValueBy(Source(job, Files("x")), "word", ones)
	Process(in, "sums", ProcessFunction[string, int64, string]{
		States: []State{sum, seen, by}, Sides: []SideOutput{odd},
		Process: func(c *Context[string, string], v int64) {
			sum.Set(sum.GetOr(0) + v)
			seen.Add(v)
			before, _ := by.Get("n")
			by.Put("n", before+1)
			if v%2 == 1 {
				odd.Emit(v)
			}
			c.SetTimer(v + 100)
		},
		Timer: func(c *Context[string, string], t Timer) {
			text := c.Key() + " " + strconv.FormatInt(sum.GetOr(-1), 10)
			for v := range seen.All() {
				text += " " + strconv.FormatInt(v, 10)
			}
			for k, v := range by.All() {
				text += " " + k + "=" + strconv.FormatInt(v, 10)
			}
			c.EmitAt(t.Time+1, text)
			sum.Clear()
			seen.Clear()
			by.Clear()
			c.DeleteTimer(7)
		},
	}).UID("s").SinkTo(Print())
	odd.Stream().SinkTo(Print())
}

// What a reducing or aggregating state becomes is what its functions make of all that was added, also when the merged value
// lies in the bytes of the old one.
func TestFoldingStates(t *testing.T) {
	type pair struct{ First, Last string }
	var longest *ReducingState[string]
	var ends *ReducingState[pair]
	type total struct{ Sum, N int64 }
	var mean *AggregatingState[int64, total, float64]
	h := newHost(t, func(job *Env) {
		longest = NewReducingState(job, "longest", func(a, b string) string {
			if len(b) > len(a) {
				return b
			}
			return a
		}).TTL(time.Minute)
		ends = NewReducingState(job, "ends", func(a, b pair) pair { return pair{b.First + a.Last, a.First} })
		mean = NewAggregatingState(job, "mean", func() total { return total{} },
			func(a total, v int64) total { return total{a.Sum + v, a.N + 1} },
			func(a total) float64 { return float64(a.Sum) / float64(a.N) })
		in := KeyValueBy(Source(job, Files("x")), "word", ones)
		Process(in, "folds", ProcessFunction[string, int64, string]{
			States: []State{longest, ends, mean},
			Process: func(c *Context[string, string], v int64) {
				if _, ok := mean.Get(); ok != (v != 3) {
					c.Emit("a value before the first was added, or none behind it")
				}
				longest.Add(strings.Repeat("x", int(v)))
				ends.Add(pair{strconv.FormatInt(v, 10), "-"})
				mean.Add(v)
				if v == 4 {
					l, _ := longest.Get()
					e, _ := ends.Get()
					m, _ := mean.Get()
					c.Emit(l + " " + e.First + " " + e.Last + " " + strconv.FormatFloat(m, 'g', -1, 64))
				}
				if v == 9 {
					longest.Clear()
					ends.Clear()
					mean.Clear()
				}
			},
		}).UID("f").SinkTo(Print())
	})
	newStateHost()
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
	in := callOfGroups(groupOf("whale", 0, 0, appendList(nil, listInput, []string{n(3), n(8), n(4)})),
		groupOf("me", 0, 0, appendList(nil, listInput, []string{n(3), n(9)})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("process: status %d, %+v", status, h.failures)
	}
	if len(h.emits) != 1 {
		t.Fatalf("emits %+v (expected one batch)", h.emits)
	}
	if got := decodeRecords(t, h.emits[0].bytes).Values; !slices.Equal(got, []string{"xxxxxxxx 43 8- 5"}) {
		t.Errorf("emitted %q", got)
	}
	for _, a := range h.actions()[1] {
		if a.op != actionClear {
			t.Errorf("action %+v of a key whose states were cleared", a)
		}
	}
}

func openSums(t *testing.T) (*fakeHost, *stateHost) {
	h := newHost(t, defineSums)
	s := newStateHost()
	h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues | columnTimestamps}, {1, 1, columnValues}}})
	return h, s
}

func TestProcessKeepsStateAndSetsTimers(t *testing.T) {
	h, s := openSums(t)
	records := appendList(nil, listInput, []string{n(3), n(4)})
	in := callOfGroups(groupOf("whale", 0, 0, records, stateList(nil, 0, n(10))), groupOf("me", 0, 0, appendList(nil, listInput, []string{n(5)})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("process: status %d, %+v", status, h.failures)
	}
	want := map[uint32][]action{
		0: {{actionPut, 0, 0, n(17)}, {actionSetTimer, 0, 103, ""}, {actionSetTimer, 0, 104, ""}},
		1: {{actionPut, 0, 0, n(5)}, {actionSetTimer, 0, 105, ""}},
	}
	if got := h.actions(); !reflect.DeepEqual(got, want) {
		t.Errorf("actions %v\nwant    %v", got, want)
	}
	if got := s.lists[[2]uint32{1, 0}]; !slices.Equal(got, []string{n(3), n(4)}) {
		t.Errorf("list %q", got)
	}
	if got := s.maps[[2]uint32{2, 0}]["n"]; got != n(2) {
		t.Errorf("map %q: a function reads what it has put", got)
	}
	if len(h.emits) != 1 || h.emits[0].output != 1 {
		t.Fatalf("emits %+v (expected one batch of the side output)", h.emits)
	}
	if got := decodeRecords(t, h.emits[0].bytes).Values; !slices.Equal(got, []string{n(3), n(5)}) {
		t.Errorf("side output %q", got)
	}
}

func TestTimerReadsStateAndClearsIt(t *testing.T) {
	h, s := openSums(t)
	s.lists[[2]uint32{1, 0}] = []string{n(1), n(2)}
	s.maps[[2]uint32{2, 0}] = map[string]string{"n": n(2)}
	in := callOfGroups(groupOf("whale", groupHasTimer, 104, stateList(nil, 0, n(3))))
	if status := guest.keyed(1, verbTimer, in); status != statusOK {
		t.Fatalf("timer: status %d, %+v", status, h.failures)
	}
	want := map[uint32][]action{0: {{actionClear, 0, 0, ""}, {actionDeleteTimer, 0, 7, ""}}}
	if got := h.actions(); !reflect.DeepEqual(got, want) {
		t.Errorf("actions %v, want %v", got, want)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if !slices.Equal(got.Values, []string{"whale 3 1 2 n=2"}) || !slices.Equal(got.Timestamps, []int64{105}) {
		t.Errorf("emitted %+v", got)
	}
	if len(s.lists) != 0 || len(s.maps) != 0 {
		t.Errorf("left %v %v", s.lists, s.maps)
	}
}

func TestProcessPullsRecordsAndValuesThatDidNotFit(t *testing.T) {
	h, s := openSums(t)
	s.late = []string{n(8)}
	s.maps[[2]uint32{0, 0}] = map[string]string{"": n(100)}
	records := appendList(nil, listInput, []string{n(2)})
	binary.LittleEndian.PutUint32(records[8:], 2)
	value := stateList(nil, 0)
	binary.LittleEndian.PutUint32(value[8:], 1)
	if status := guest.keyed(1, verbProcess, callOfGroups(groupOf("whale", 0, 0, records, value))); status != statusOK {
		t.Fatalf("process: status %d, %+v", status, h.failures)
	}
	if got := h.actions()[0][0]; got != (action{actionPut, 0, 0, n(110)}) {
		t.Errorf("sum %v", got)
	}
}

// To the host, an empty key means all of a map: it is none for one entry, whatever is done with it.
func TestAnEmptyKeyOfAMapFailsItsRecord(t *testing.T) {
	for name, use := range map[string]func(*MapState[string, int64]){
		"get":    func(s *MapState[string, int64]) { s.Get("") },
		"put":    func(s *MapState[string, int64]) { s.Put("", 1) },
		"delete": func(s *MapState[string, int64]) { s.Delete("") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, func(job *Env) {
				by := NewMapState[string, int64](job, "by")
				Process(KeyValueBy(Source(job, Files("x")), "w", ones), "p", ProcessFunction[string, int64, string]{
					States: []State{by}, Process: func(_ *Context[string, string], v int64) {
						by.Put("n", v)
						if v == 2 {
							use(by)
						}
					},
				}).UID("p").SinkTo(Print())
			})
			s := newStateHost()
			s.maps[[2]uint32{0, 1}] = map[string]string{"n": n(7)}
			h.open(functionSpec{id: 1, upstream: none, outputs: []outputSpec{{0, 0, columnValues}}})
			one, two := appendList(nil, listInput, []string{n(1)}), appendList(nil, listInput, []string{n(2)})
			status := guest.keyed(1, verbProcess, callOfGroups(groupOf("a", 0, 0, one), groupOf("b", 0, 0, two)))
			want := "an empty key of a map state"
			if status == statusOK || len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) || h.failures[0].record != 1 {
				t.Errorf("status %d, %+v (expected group 1 to fail: %s)", status, h.failures, want)
			}
		})
	}
}

func TestCoProcessTellsItsInputsApart(t *testing.T) {
	h := newHost(t, func(job *Env) {
		left := KeyValueBy(Source(job, Files("x")), "l", ones)
		right := KeyBy(Source(job, Files("y")), "r", func(w string) string { return w })
		CoProcess(left, right, "both", CoProcessFunction[string, int64, string, string]{
			Process1: func(c *Context[string, string], v int64) { c.Emit("number " + strconv.FormatInt(v, 10)) },
			Process2: func(c *Context[string, string], v string) { c.Emit("text " + v) },
		}).UID("b").SinkTo(Print())
	})
	h.open(functionSpec{id: 2, upstream: none, outputs: []outputSpec{{0, 0, columnKeys | columnValues}}})
	in := callOfGroups(groupOf("k", 0, 0, appendList(nil, listInput, []string{n(1)}), appendList(nil, listInput1, []string{"a"})))
	if status := guest.keyed(1, verbProcess, in); status != statusOK {
		t.Fatalf("process: status %d, %+v", status, h.failures)
	}
	got := decodeRecords(t, h.emits[0].bytes)
	if !slices.Equal(got.Values, []string{"number 1", "text a"}) || !slices.Equal(got.Keys, []string{"k", "k"}) {
		t.Errorf("emitted %+v", got)
	}
	if m := h.describe(); !strings.Contains(m, `"features":[1,2,5,8]`) && !strings.Contains(m, `"features":[1,2,5]`) {
		t.Errorf("features of %s", m)
	}
}

func TestMigrateDropsAndChangesElements(t *testing.T) {
	h := newHost(t, func(job *Env) {
		sum := NewValueState[int64](job, "sum").Migrate(2, func(from int, old []byte) (int64, bool) {
			v, err := strconv.ParseInt(string(old), 10, 64)
			return v * int64(from), err == nil
		})
		Process(KeyValueBy(Source(job, Files("x")), "w", ones), "p", ProcessFunction[string, int64, string]{
			States: []State{sum}, Process: func(*Context[string, string], int64) {},
		}).UID("p").SinkTo(Print())
	})
	if m := h.describe(); !strings.Contains(m, `"states":[{"name":"sum","scope":"keyed","kind":"value","codec":"i64","version":2,"migrates":true}]`) {
		t.Errorf("manifest %s", m)
	}
	var in migrated
	in.add(nil, []byte("1685"), true)
	in.add(nil, []byte("x"), true)
	if status := guest.migrate(1<<16, 1, in.encode(false)); status != statusOK {
		t.Fatalf("migrate: status %d, %+v", status, h.failures)
	}
	var out batch
	if !out.parse(h.replies[0]) || out.n != 2 || string(out.value(0)) != n(1685) || len(out.value(1)) != 0 && h.replies[0] == nil {
		t.Errorf("reply %x", h.replies[0])
	}
	if nulls := h.replies[0][batchHeaderBytes+16]; nulls != 2 {
		t.Errorf("nulls %b (expected the second)", nulls)
	}
	if status := guest.migrate(9<<16, 1, in.encode(false)); status != statusUnknownFunction {
		t.Errorf("an unknown state: status %d", status)
	}
}

func TestAccumulatorsOfAReduceAndAnAggregateAreMigrated(t *testing.T) {
	parsed := func(from int, old []byte) (int64, bool) {
		v, err := strconv.ParseInt(string(old), 10, 64)
		return v * int64(from), err == nil
	}
	schema := Schema[int64]{Version: 3, Migrate: parsed, Oldest: 1}
	h := newHost(t, func(job *Env) {
		keyed := KeyValueBy(Source(job, Files("x")), "w", ones)
		keyed.Reduce("plain", func(a, b int64) int64 { return a + b }).UID("p").SinkTo(Print())
		keyed.Reduce("reduced", func(a, b int64) int64 { return a + b }, schema).UID("r").SinkTo(Print())
		Aggregate(keyed, "aggregated", Aggregator[int64, int64, int64]{
			Create: func() int64 { return 0 }, Add: func(a, b int64) int64 { return a + b }, Merge: func(a, b int64) int64 { return a + b },
			Result: func(a int64) int64 { return a }, Schema: schema,
		}).UID("a").SinkTo(Print())
	})
	m := h.describe()
	states := `"states":[{"name":"accumulator","scope":"keyed","kind":"value","codec":"i64","version":3,"migrates":true,"oldest":1}]`
	if n := strings.Count(m, states); n != 2 || !strings.Contains(m, `"features":[1,2,8,10]`) {
		t.Errorf("%d schemas in manifest %s", n, m)
	}
	var in migrated
	in.add(nil, []byte("5"), true)
	in.add(nil, []byte("x"), true)
	for _, function := range []uint32{2, 3} {
		if status := guest.migrate(function<<16, 2, in.encode(false)); status != statusOK {
			t.Fatalf("migrate: status %d, %+v", status, h.failures)
		}
		reply := h.replies[len(h.replies)-1]
		var out batch
		if !out.parse(reply) || out.n != 2 || string(out.value(0)) != n(10) || reply[batchHeaderBytes+16] != 2 {
			t.Errorf("reply %x", reply)
		}
	}
	if status := guest.migrate(1<<16, 2, in.encode(false)); status != statusUnknownFunction {
		t.Errorf("accumulators without a schema: status %d", status)
	}
}
