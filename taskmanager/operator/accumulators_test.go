package operator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// growing is a summing guest whose accumulators of version 1 are a tenth of what they are in version 3. It drops 7 and refuses 13.
type growing struct {
	summing
	asked []string // a line for each migration
	left  []string // what could not be done, and was left out
}

func (g *growing) Migrate(number int, from uint16, in *abi.Builder, name func(uint32) string) (*abi.Batch, error) {
	var was abi.Batch
	in.View(&was)
	out, nulls, line := abi.NewBuilder(abi.ColumnValues), make([]byte, (was.N+7)/8), fmt.Sprintf("%d from %d:", number, from)
	for i := range was.N {
		n := binary.LittleEndian.Uint64(was.Value(i))
		switch line += fmt.Sprint(" ", n); n {
		case 13:
			return nil, errors.New(name(uint32(i)))
		case 7:
			nulls[i/8] |= 1 << (i % 8)
		}
		out.Append(abi.Record{Value: binary.LittleEndian.AppendUint64(nil, 10*n)})
	}
	g.asked = append(g.asked, line)
	var made abi.Batch
	out.View(&made)
	made.ValueNulls = nulls
	return &made, nil
}

// Retry makes each unit's call alone, and leaves out what fails.
func (g *growing) Retry(_ error, n int, call func(lo, hi int) error, describe func(int) Unit) error {
	for i := range n {
		if err := call(i, i+1); err != nil {
			u := describe(i)
			g.left = append(g.left, fmt.Sprintf("%s (%s): %v", u.Key, u.Name, err))
		}
	}
	return nil
}

// Accumulators of an older version are migrated together when the first is needed, for a record or for a result; one that is
// dropped begins anew; one that cannot be migrated is a matter of what needs it.
func TestAccumulatorsOfOlderVersionsAreMigrated(t *testing.T) {
	of := func(version int, result bool) *abi.Function {
		return &abi.Function{Kind: abi.FunctionReduce, Result: result, States: []abi.State{{Name: abi.Accumulator, Version: version, Migrates: true}}}
	}
	begin := func(t *testing.T, result bool, windows *abi.Window, values map[string]int64, more ...rec) (*running, *growing) {
		store, g := state.NewMemory(), &growing{}
		at := func(version int, guest Guest) *running {
			op, err := New(Config{UID: "op", Kind: abi.OperatorReduce, Function: of(version, result), Guest: guest, Window: windows, Final: true, Store: store})
			if err != nil {
				t.Fatal(err)
			}
			return &running{t: t, op: op, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps), store: store}
		}
		old := at(1, &summing{})
		for _, k := range []string{"a", "b", "c", "d"} {
			if v, ok := values[k]; ok {
				old.process(rec{5, k, v})
			}
		}
		if len(more) > 0 {
			old.process(more...)
		}
		return at(3, g), g
	}
	same := func(t *testing.T, what string, got, want []string) {
		t.Helper()
		if !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s %q (expected %q)", what, got, want)
		}
	}
	window := &abi.Window{SizeMs: 100}

	t.Run("for records and results", func(t *testing.T) {
		r, g := begin(t, true, window, map[string]int64{"a": 1, "b": 2, "c": 7, "d": 7})
		r.process(rec{6, "a", 5}, rec{6, "c", 3}, rec{7, "c", 1}, rec{7, "e", 9})
		same(t, "migrated", g.asked, []string{"0 from 1: 1 7"})
		r.fire(99)
		same(t, "migrated", g.asked, []string{"0 from 1: 1 7", "0 from 1: 2 7"})
		same(t, "results", g.out, []string{"[0,100) a=15", "[0,100) b=20", "[0,100) c=4", "[0,100) e=9"})
		same(t, "left out", g.left, nil)
	})
	t.Run("as results", func(t *testing.T) {
		r, g := begin(t, false, nil, map[string]int64{"a": 1, "b": 13, "c": 7, "d": 2})
		r.fire(abi.MaxTime)
		var b abi.Batch
		r.out.View(&b)
		var results []string
		for i := range b.N {
			results = append(results, fmt.Sprintf("%s=%d", b.Key(i), binary.LittleEndian.Uint64(b.Value(i))))
		}
		same(t, "results", results, []string{"a=10", "d=20"})
		same(t, "left out", g.left, []string{`b (the result of key): state "accumulator" of key "b", version 1`})
	})
	t.Run("one that cannot be", func(t *testing.T) {
		r, g := begin(t, true, window, map[string]int64{"a": 1, "b": 13})
		r.process(rec{6, "a", 5}, rec{6, "b", 3}, rec{7, "a", 2})
		r.fire(99)
		same(t, "results", g.out, []string{"[0,100) a=17"})
		same(t, "left out", g.left, []string{`b (): state "accumulator" of key "b", version 1`, `b (the result from 0 to 100 of key): state "accumulator" of key "b", version 1`})
	})
	t.Run("what sessions hold", func(t *testing.T) {
		counted := &abi.Window{Kind: SessionWindows, GapMs: 10, Trigger: &abi.Trigger{Kind: abi.TriggerCount, Count: 2}}
		r, g := begin(t, true, counted, nil, rec{0, "a", 1}, rec{1, "a", 2}, rec{20, "a", 4}, rec{21, "a", 5}, rec{0, "b", 3}, rec{1, "b", 4})
		r.process(rec{11, "a", 8}) // both are one
		r.fire(99)
		same(t, "migrated", g.asked, []string{"0 from 1: 3 3", "0 from 1: 9 9", "0 from 1: 7 7"})
		same(t, "results", g.out, []string{"[0,11) a=30", "[20,31) a=90"})
	})
	t.Run("all dropped", func(t *testing.T) {
		r, g := begin(t, true, window, map[string]int64{"a": 7})
		r.fire(99)
		same(t, "results", g.out, nil)
		if g.calls > 0 {
			t.Errorf("%d calls for no result", g.calls)
		}
	})
}
