package conformance_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/wasmill/wasmill/abi"
)

func TestProcessScenarios(t *testing.T) { runStaged(t, processGuest, "testdata/process/*.txt") }

// runStaged runs scenarios on a stage against the guests of a name.
func runStaged(t *testing.T, guest, pattern string) {
	scenarios, err := filepath.Glob(pattern)
	if err != nil || len(scenarios) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for name, wasm := range guests(t, guest) {
		t.Run(name, func(t *testing.T) {
			for _, path := range scenarios {
				scenario := strings.TrimSuffix(filepath.Base(path), ".txt")
				for suffix, replace := range map[string]bool{"": false, "-replaced": true} {
					t.Run(scenario+suffix, func(t *testing.T) {
						s := &processScript{handles: make(map[string]*handle), numbers: make(map[string]int)}
						if s.stage, err = newStage(t, wasm, nil, replace); err != nil {
							t.Fatal(err)
						}
						if name := s.stage.lacks(string(read(t, path))); name != "" {
							t.Skipf("the guest declares no function %q", name)
						}
						datadriven.RunTest(t, path, s.run)
					})
				}
			}
		})
	}
}

// processScript is a scenario of process functions that runs.
type processScript struct {
	stage   *stage
	handles map[string]*handle
	numbers map[string]int // of the handles
}

func (s *processScript) run(t *testing.T, d *datadriven.TestData) string {
	if verb := stagedVerbs[d.Cmd]; verb != 0 {
		return s.records(t, d, verb)
	}
	switch d.Cmd {
	case "needs": // see stage.lacks
		return "ok"
	case "describe":
		return s.describe(t, d)
	case "open":
		return s.open(t, d)
	case "advance":
		return s.advance(t, d)
	case "state":
		h := s.handle(t, d)
		if s.stage.stores[h.head().Name] == nil {
			return "nothing"
		}
		return s.stage.stores[h.head().Name].print(h.head())
	case "migrate":
		return s.migrate(t, d)
	}
	d.Fatalf(t, "command %q (expected needs, describe, open, advance, state, migrate, or a verb)", d.Cmd)
	return ""
}

// stagedVerbs are the commands that hand over groups.
var stagedVerbs = map[string]abi.Verb{
	"records": abi.VerbProcess, "join": abi.VerbJoin, "partition": abi.VerbPartition, "window": abi.VerbWindow, "trigger": abi.VerbTrigger,
	"evict": abi.VerbEvict, "gap": abi.VerbGap, "request": abi.VerbRequest, "response": abi.VerbResponse, "begin": abi.VerbBegin,
	"create": abi.VerbCreate, "accumulate": abi.VerbAccumulate, "merge": abi.VerbMerge,
}

func (s *processScript) open(t *testing.T, d *datadriven.TestData) string {
	h, err := parseHandle(s.stage.manifest, d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	name, number := d.CmdArgs[0].Key, len(s.stage.opened)
	if err = s.stage.open(&h.functions); err == nil {
		s.handles[name], s.numbers[name] = h, number
	}
	return answer(err)
}

func (s *processScript) handle(t *testing.T, d *datadriven.TestData) *handle {
	if len(d.CmdArgs) == 0 || s.handles[d.CmdArgs[0].Key] == nil {
		d.Fatalf(t, "%s names no handle that was opened", d.Cmd)
	}
	return s.handles[d.CmdArgs[0].Key]
}

func processHeader(t *testing.T, d *datadriven.TestData) *abi.CallHeader {
	h := &abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 1000, Split: abi.None, Parallelism: 1}
	d.MaybeScanArgs(t, "watermark", &h.Watermark)
	d.MaybeScanArgs(t, "now", &h.ProcessingTime)
	d.MaybeScanArgs(t, "receivers", &h.Parallelism)
	return h
}

// records hands over groups with records, for a function of the verb. With fetch, no value state comes with them; with part=n, only
// the first n records of each list.
func (s *processScript) records(t *testing.T, d *datadriven.TestData, verb abi.Verb) string {
	h := s.handle(t, d)
	var list []stagedGroup
	for _, text := range strings.Split(d.Input, "\n") {
		l := &line{text}
		if !l.more() {
			continue
		}
		g, err := l.recordsGroup(h.head())
		if err != nil {
			d.Fatalf(t, "group %s: %v", text, err)
		}
		list = append(list, g)
	}
	part := 1 << 30
	d.MaybeScanArgs(t, "part", &part)
	return s.call(d.CmdArgs[0].Key, verb, processHeader(t, d), list, part, !d.HasArg("fetch"))
}

// recordsGroup reads a group: a key, records with their times, and behind the word other those of the second input.
//
//	"whale" 1 at=5 1000 x 2 other "blue" at=7
func (l *line) recordsGroup(f abi.Function) (g stagedGroup, err error) {
	input := 0
	g.head.Key, err = l.encoded(f.Key)
	for l.more() && err == nil {
		if l.takes("other") {
			input = 1
			continue
		}
		var more bool
		if more, err = g.mark(l, f); more || err != nil {
			continue
		}
		n := l.times()
		var v []byte
		if v, err = l.encoded(f.Inputs[input]); err != nil {
			break
		}
		at := int64(abi.NoTimestamp)
		if l.more() && l.takes("at=") {
			at, err = l.integer()
		}
		for range n {
			g.values[input] = append(g.values[input], v)
			g.timestamps[input] = append(g.timestamps[input], at)
		}
	}
	for k, times := range g.timestamps {
		if !slices.ContainsFunc(times, func(at int64) bool { return at != abi.NoTimestamp }) {
			g.timestamps[k] = nil
		}
	}
	return g, err
}

// call makes a call with groups and prints what was emitted.
func (s *processScript) call(name string, verb abi.Verb, header *abi.CallHeader, list []stagedGroup, part int, ahead bool) string {
	h := s.handles[name]
	f := h.head()
	effects, err := s.stage.keyed(s.numbers[name], verb, f, header, s.stage.groups(f, list, part, ahead), list)
	if err != nil {
		return report(err)
	}
	effects.Reply = nil // by reply or by the import state: the stores show what came of it
	answered := strings.Join(s.stage.call.answered, "\n")
	if answered != "" && len(effects.Emits) == 0 {
		return answered
	}
	return strings.TrimSpace(answered + "\n" + h.printEffects(effects))
}

// groups encodes groups, the value states before the records in every second one: their order is the host's choice.
func (s *stage) groups(f abi.Function, list []stagedGroup, part int, ahead bool) *abi.GroupsWriter {
	w := new(abi.GroupsWriter)
	w.Reset()
	for k, g := range list {
		w.Begin(g.head)
		states := func() {
			for i, state := range f.States {
				if state.Kind == "value" && ahead {
					v := s.values(f, &g, i)
					w.List(abi.ListState, uint16(i), len(v), nil, v)
				}
			}
		}
		if k%2 == 1 {
			states()
		}
		for input, values := range g.values {
			if n := min(part, len(values)); len(values) > 0 {
				var times []int64
				if g.timestamps[input] != nil {
					times = g.timestamps[input][:n]
				}
				w.List(abi.ListTag(input), 0, len(values), times, values[:n])
			}
		}
		if g.accumulators != nil {
			w.List(abi.ListAccumulators, 0, len(g.accumulators), nil, g.accumulators)
		}
		if g.answers != nil {
			w.List(abi.ListAnswers, 0, len(g.answers), nil, g.answers)
		}
		if k%2 == 0 {
			states()
		}
		w.EndGroup()
	}
	return w
}

// values is what a value state has for a group: of windows that have become one, what it had in each.
func (s *stage) values(f abi.Function, g *stagedGroup, state int) (all [][]byte) {
	at := []place{g.place(f.States[state])}
	if g.merged != nil {
		at = nil
		for _, window := range g.merged {
			at = append(at, place{string(g.head.Key), window})
		}
	}
	for _, p := range at {
		if st := s.stores[f.Name]; st != nil && st.cell(p, uint16(state)).value != nil {
			all = append(all, st.cell(p, uint16(state)).value)
		}
	}
	return all
}

// advance lets time go on to watermark=w or now=n, and hands over the timers that are due then, call by call, at most one
// a group, until there are none.
func (s *processScript) advance(t *testing.T, d *datadriven.TestData) string {
	h := s.handle(t, d)
	header := processHeader(t, d)
	clock, now, flags := uint16(0), header.Watermark, uint32(abi.GroupHasTimer)
	if d.HasArg("now") {
		clock, now, flags = 1, header.ProcessingTime, flags|abi.GroupTimerProcessing
	}
	var out strings.Builder
	for range 100 {
		st := s.stage.stores[h.head().Name]
		if st == nil {
			break
		}
		due := st.due(clock, now)
		if len(due) == 0 {
			break
		}
		var list []stagedGroup
		for _, timer := range due {
			delete(st.timers, timer)
			g := stagedGroup{head: abi.Group{Key: []byte(timer.key), Flags: flags, TimerTime: timer.at}}
			if timer.window != "" {
				g.head.Flags |= abi.GroupHasWindow
				fmt.Sscanf(timer.window, "%d..%d", &g.head.WindowStart, &g.head.WindowEnd) // as it was printed
			}
			list = append(list, g)
		}
		out.WriteString(s.call(d.CmdArgs[0].Key, timerVerb(h.head()), header, list, 0, !d.HasArg("fetch")) + "\n")
	}
	if out.Len() == 0 {
		return "none is due"
	}
	return strings.TrimSpace(strings.ReplaceAll(out.String(), "\n\n", "\n"))
}

// migrate hands over elements of a state, one a line, of the version from: a value, or key and value of a map.
//
//	migrate h state=names from=1
//	"red" "r"
func (s *processScript) migrate(t *testing.T, d *datadriven.TestData) string {
	h := s.handle(t, d)
	var name string
	var from uint32
	d.ScanArgs(t, "state", &name)
	d.ScanArgs(t, "from", &from)
	f := h.head()
	k := slices.IndexFunc(f.States, func(s abi.State) bool { return s.Name == name })
	if k < 0 {
		d.Fatalf(t, "no state %q", name)
	}
	state := f.States[k]
	columns := abi.ColumnValues
	if state.Kind == "map" {
		columns |= abi.ColumnKeys
	}
	b := abi.NewBuilder(columns)
	for _, text := range strings.Split(d.Input, "\n") {
		l := &line{text}
		var r abi.Record
		var err error
		if !l.more() {
			continue
		}
		n := l.times()
		if state.Kind == "map" {
			r.Key, err = l.encoded(state.Key)
		}
		if err == nil && l.more() {
			r.Value, err = l.encoded(state.Codec)
		}
		if err != nil {
			d.Fatalf(t, "element %s: %v", text, err)
		}
		for range n {
			b.Append(r)
		}
	}
	out, err := s.stage.migrate(f.ID, k, from, b)
	if err != nil {
		return report(err)
	}
	if out.N != b.Len() || out.Columns&^abi.ColumnValueNulls != columns {
		return fmt.Sprintf("%d elements with columns %#x (expected %d, %#x)", out.N, out.Columns, b.Len(), columns)
	}
	var lines []string
	for i := range out.N {
		text := "dropped"
		if out.Columns&abi.ColumnValueNulls == 0 || out.ValueNulls[i/8]>>(i%8)&1 == 0 {
			text = printValue(state.Codec, out.Value(i))
			if state.Kind == "map" {
				text = printKey(state.Key, out.Key(i)) + " " + text
			}
		}
		lines = append(lines, text)
	}
	return strings.Join(fold(lines), "\n")
}
