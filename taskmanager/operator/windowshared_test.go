package operator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// What is written of a record does not grow with how many sliding windows it is in.
func TestSlidingWindowsKeepARecordOnce(t *testing.T) {
	written := func(windows int64) int {
		store, guest := &writes{Store: state.NewMemory()}, &deaf{}
		w := abi.Window{Kind: "sliding", SizeMs: 100_000, SlideMs: 100_000 / windows}
		op, err := New(Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: &w, Guest: guest, Calls: guest, Store: store, UID: "op",
			Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow}})
		if err != nil {
			t.Fatal(err)
		}
		for time := range int64(1000) {
			b, hashes := batchOf(rec{time, "k", time})
			if err := op.Process(b, hashes, 0, abi.NewBuilder(0)); err != nil {
				t.Fatal(err)
			}
		}
		return store.bytes
	}
	few, many := written(2), written(500)
	if many > few+few/10 {
		t.Errorf("%d bytes were written of records in 500 windows, %d of those in 2", many, few)
	}
}

// A state in another form is refused, not misread.
func TestWindowsInAnotherFormAreRefused(t *testing.T) {
	for _, c := range []struct {
		want string
		spec state.Spec
		ns   state.Namespace
	}{
		{"open state elements of op: kind 6 (expected 2)", state.Spec{Operator: "op", Name: "elements", Kind: state.Bytes}, state.Global},
		{"open state windows of op: it has a table a window", state.Spec{Operator: "op", Name: "windows", Kind: state.Bytes}, 1000},
	} {
		for _, budget := range []int64{0, 1 << 20} {
			store := state.NewMemory()
			table, err := store.Table(c.spec, c.ns)
			if err != nil {
				t.Fatal(err)
			}
			b, hashes := batchOf(rec{key: "k"})
			entries := make([]state.Entry, 1)
			if err = table.Resolve(b, nil, hashes, entries); err == nil {
				err = table.SetValue(entries[0], []byte("old"))
			}
			if err != nil {
				t.Fatal(err)
			}
			guest := &deaf{}
			next := opened(t, storeConfig(t, budget), saved(t, store, nil))
			defer next.Close()
			_, err = New(Config{Kind: abi.OperatorWindow, Key: "utf8", Value: "i64", Window: &abi.Window{Kind: "sliding", SizeMs: 10, SlideMs: 5}, Guest: guest, Calls: guest,
				Store: next, UID: "op", Function: &abi.Function{Name: "f", Kind: abi.FunctionWindow}, Groups: graph.DefaultMaxParallelism})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", fmt.Sprint("with a budget of ", budget), err)
			}
		}
	}
}
