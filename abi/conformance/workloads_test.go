package conformance_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// The workloads of test/guests compute what their comments say. Here they are called as the engine would call them, by
// the host that the kit plays; what a cluster makes of them, with faults, others test.

// workload is one process function of a guest.
type workload struct {
	t *testing.T
	*stage
	f abi.Function
}

func openWorkload(t *testing.T, guest, function string, params map[string]string) *workload {
	t.Helper()
	s, err := newStage(t, read(t, "../../test/guests/"+guest+".wasm"), params, true)
	if err != nil {
		t.Fatal(err)
	}
	k := slices.IndexFunc(s.manifest.Functions, func(f abi.Function) bool { return f.Name == function })
	w := &workload{t, s, s.manifest.Functions[k]}
	var outputs []abi.HandleOutput
	for side := range uint32(1 + len(w.f.Sides)) {
		outputs = append(outputs, abi.HandleOutput{Tag: side, Number: side, Columns: abi.ColumnValues})
	}
	if err := s.open(&abi.Handle{Functions: []abi.HandleFunction{{Function: w.f.ID, Upstream: abi.None, Outputs: outputs}}}); err != nil {
		t.Fatal(err)
	}
	return w
}

// call returns the lines that were emitted, each behind the number of its output.
func (w *workload) call(verb abi.Verb, watermark int64, part int, ahead bool, list ...stagedGroup) []string {
	w.t.Helper()
	header := &abi.CallHeader{Watermark: watermark, Parallelism: 1}
	effects, err := w.keyed(0, verb, w.f, header, w.groups(w.f, list, part, ahead), list)
	if err != nil {
		w.t.Fatal(err)
	}
	return linesOf(effects)
}

func linesOf(effects *host.Effects) (lines []string) {
	for _, e := range effects.Emits {
		for i := range e.Batch.N {
			lines = append(lines, fmt.Sprintf("%d %s", e.Output, e.Batch.Value(i)))
		}
	}
	return lines
}

// advance fires what is due at the watermark.
func (w *workload) advance(watermark int64) (lines []string) {
	w.t.Helper()
	for {
		var list []stagedGroup
		for _, d := range w.stores[w.f.Name].due(0, watermark) {
			delete(w.stores[w.f.Name].timers, d)
			list = append(list, stagedGroup{head: abi.Group{Key: []byte(d.key), Flags: abi.GroupHasTimer, TimerTime: d.at}})
		}
		if list == nil {
			return lines
		}
		lines = append(lines, w.call(abi.VerbTimer, watermark, 0, true, list...)...)
	}
}

func encodedI64(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

func TestHashchainIsTheSameInEveryKindOfState(t *testing.T) {
	for _, states := range []string{"value", "list", "map", "all"} {
		w := openWorkload(t, "hashchain", "extend", map[string]string{"states": states})
		h, n := make(map[string]uint64), make(map[string]int)
		for call := range 10 {
			var list []stagedGroup
			var want []string
			for _, key := range []string{"a", "b", "c"} {
				g := stagedGroup{head: abi.Group{Key: []byte(key)}}
				for i := range 5 + call {
					v := int64(call*100 + i)
					g.values[0] = append(g.values[0], encodedI64(v))
					x := (h[key] ^ uint64(v)) * 0x9e3779b97f4a7c15
					h[key] = x ^ x>>32
					n[key]++
					want = append(want, fmt.Sprintf("0 %s,%d,%016x", key, n[key], h[key]))
				}
				list = append(list, g)
			}
			if got := w.call(abi.VerbProcess, 0, 4, call%2 == 0, list...); !slices.Equal(got, want) {
				t.Fatalf("%s: %q (expected %q)", states, got, want)
			}
		}
	}
}

func TestLedgerCounts(t *testing.T) {
	w := openWorkload(t, "ledger", "book", nil)
	g := stagedGroup{head: abi.Group{Key: []byte("7")}, values: [2][][]byte{{encodedI64(5), encodedI64(-7)}}}
	got := append(w.call(abi.VerbProcess, 0, 9, true, g), w.call(abi.VerbProcess, 0, 1, false, g)...)
	if want := []string{"0 7,1,5,5", "0 7,2,-7,-2", "0 7,3,5,3", "0 7,4,-7,-4"}; !slices.Equal(got, want) {
		t.Errorf("%q (expected %q)", got, want)
	}
}

func TestSleepyStateKeepsItsBytes(t *testing.T) {
	w := openWorkload(t, "sleepy-state", "touch", map[string]string{"bytes": "100000"})
	g := stagedGroup{head: abi.Group{Key: []byte("7")}, values: [2][][]byte{{nil, nil}}}
	got := append(w.call(abi.VerbProcess, 0, 9, false, g), w.call(abi.VerbProcess, 0, 9, true, g)...)
	if want := []string{"0 7,1", "0 7,2", "0 7,3", "0 7,4"}; !slices.Equal(got, want) {
		t.Errorf("%q (expected %q)", got, want)
	}
}

// fact and update are lines of the two inputs of enrich.
type fact struct {
	key, line string
	at        int64
}

type update struct {
	at    int64
	value string
}

// joined is what must become of a fact: the latest value at or before its time, else the earliest within patience.
func (f fact) joined(updates []update, patience int64) string {
	var before, after *update
	for i := range updates {
		u := &updates[i]
		if u.at <= f.at && (before == nil || u.at > before.at) {
			before = u
		}
		if u.at > f.at && u.at <= f.at+patience && (after == nil || u.at < after.at) {
			after = u
		}
	}
	if before == nil {
		before = after
	}
	if before == nil {
		return "1 " + f.line
	}
	return "0 " + f.line + "," + before.value
}

func TestEnrichDependsOnEventTimesOnly(t *testing.T) {
	w := openWorkload(t, "enrich", "enrich", map[string]string{"patience": "500"})
	random := rand.New(rand.NewPCG(1, 2))
	updates, taken := make(map[string][]update), make(map[string]bool)
	var facts []fact
	var got []string
	for base := int64(0); base < 20000; base += 100 {
		var list []stagedGroup
		for _, key := range []string{"a", "b", "c"} {
			g := stagedGroup{head: abi.Group{Key: []byte(key)}}
			for range random.IntN(4) {
				at := base + random.Int64N(200)
				f := fact{key, fmt.Sprintf("%s,%d,f%d", key, at, len(facts)), at}
				facts = append(facts, f)
				g.values[0] = append(g.values[0], []byte(f.line))
			}
			at := base + random.Int64N(200)
			if id := fmt.Sprint(key, at); random.IntN(9) == 0 && !taken[id] {
				taken[id] = true
				u := update{at, fmt.Sprint("v", len(taken))}
				updates[key] = append(updates[key], u)
				g.values[1] = append(g.values[1], fmt.Appendf(nil, "%s,%d,%s", key, at, u.value))
			}
			list = append(list, g)
		}
		got = append(got, w.call(abi.VerbProcess, base-1, 3, true, list...)...)
		got = append(got, w.advance(base+99)...)
	}
	got = append(got, w.advance(abi.MaxTime)...)
	var want []string
	for _, f := range facts {
		want = append(want, f.joined(updates[f.key], 500))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines for %d facts, or others than expected", len(got), len(want))
	}
	for at, c := range w.stores["enrich"].cells {
		if len(c.entries) > 10 {
			t.Errorf("state %d of %q: %d entries are left", at.state, at.key, len(c.entries))
		}
	}
}
