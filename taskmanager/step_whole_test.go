package taskmanager

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// What a function over all records of a subtask traps on is not tried again: what it has made of those before is gone. It has an
// instance of its own, which what other functions trap on leaves alone.
func TestWhatAFunctionOfAllRecordsTrapsOnFailsTheJob(t *testing.T) {
	died := 0
	module := &fakeModule{functions: []fakeFunction{
		{name: "copy", kind: abi.FunctionMap, each: func(r abi.Record, emit func(abi.Record)) { emit(r) }, kill: func(int, [][]byte) *host.Error {
			if died++; died == 1 {
				return &host.Error{Kind: host.KindTrap, Message: "once", Record: abi.None}
			}
			return nil
		}},
		{name: "all", kind: abi.FunctionMapPartition, kill: func(_ int, values [][]byte) *host.Error {
			if len(values) > 0 {
				return &host.Error{Kind: host.KindTrap, Message: "unreachable", Record: abi.None}
			}
			return nil
		}},
	}}
	f := newFixture(t, &listSource{splits: [][]string{{"a", "b", "c"}}}, module, graph.Operator{Name: "copy"}, graph.Operator{Name: "all"})
	for _, r := range f.jm.ends(f.deploy()) {
		if r.State != wire.TaskFailed || r.Failure.Kind != wire.KindGuest || !strings.HasSuffix(r.Failure.Message, "unreachable, in records 1 to 3 of the subtask") {
			t.Errorf("task %s ended %s: %+v", r.Task, r.State, r.Failure)
		}
	}
	if n := module.instances.Load(); n != 3 {
		t.Errorf("%d instances (expected 3: one for the function of all records, and two for the one before it)", n)
	}
}
