package taskmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// feed is an endless source of what the test gives it.
type feed struct {
	listSource
	mu    sync.Mutex
	lines []string // guarded by mu
	flood bool     // the same; there is always one more
}

func (s *feed) give(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, lines...)
}

func (s *feed) Open(context.Context, connector.Split) (connector.Reader, error) {
	return &feedReader{source: s}, nil
}

type feedReader struct {
	listReader
	source *feed
}

func (r *feedReader) Poll(b *abi.Builder, most, _ int, now time.Time) (connector.Progress, error) {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	if r.source.flood {
		b.Append(abi.Record{Timestamp: abi.NoTimestamp, Value: []byte("more")})
		return connector.Progress{}, nil
	}
	n := min(most, len(r.source.lines))
	for _, line := range r.source.lines[:n] {
		b.Append(abi.Record{Timestamp: abi.NoTimestamp, Value: []byte(line)})
	}
	r.source.lines = r.source.lines[n:]
	return connector.Progress{Wake: now.Add(time.Millisecond)}, nil
}

func (r *feedReader) Position() json.RawMessage { return json.RawMessage("0") }

// tagging is a job whose functions say which module they are of: one behind the source, one in two tasks behind that.
type tagging struct {
	*fixture
	source  *feed
	tasks   int
	modules map[graph.ModuleID]*fakeModule
	broken  error // why instances of the module "broken" do not start from the second on
}

func tag(name, with string) fakeFunction {
	return fakeFunction{name: name, kind: abi.FunctionMap, each: func(r abi.Record, emit func(abi.Record)) {
		r.Value = fmt.Appendf(nil, "%s/%s", r.Value, with)
		emit(r)
	}}
}

func newTagging(t *testing.T) *tagging { return newTaggingOf(t, 2, nil) }

// newTaggingOf has so many of the second task, and a graph that is changed before it is deployed.
func newTaggingOf(t *testing.T, second int, change func(g *graph.JobGraph)) *tagging {
	module := func(with string) *fakeModule {
		return &fakeModule{functions: []fakeFunction{tag("first", with), tag("second", with)}}
	}
	x := &tagging{source: &feed{}, modules: map[graph.ModuleID]*fakeModule{"m": module("old"), "new": module("new"), "lib": module("lib"), "broken": module("broken")}}
	x.source.splits, x.source.endless = [][]string{nil}, true
	x.fixture = newFixture(t, &x.source.listSource, x.modules["m"],
		graph.Operator{Name: "first"}, graph.Operator{Name: "second", Parallelism: second})
	x.tm.config.Connectors.Sources["list"] = func(map[string]string) (connector.Source, error) { return x.source, nil }
	x.tm.config.StateDir = t.TempDir()
	x.tm.config.OpenStore = blob.Open
	x.tm.start = func(_ context.Context, _ *task, m graph.Module, _ *guest) (sandbox, error) {
		made := x.modules[m.ID]
		if m.ID == "broken" && made.instances.Load() > 0 {
			return nil, errors.New("it does not start")
		}
		return made.start(), nil
	}
	if change != nil {
		change(&x.graph)
	}
	d := x.message(1)
	d.Checkpoints = &wire.Checkpoints{Store: t.TempDir()}
	if err := x.tm.Deploy(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	x.tasks = len(d.Tasks)
	x.jm.running(x.tasks)
	return x
}

// upgraded is the job's graph with another module, in which the functions have changed their numbers.
func (x *tagging) upgraded(module graph.ModuleID) graph.JobGraph {
	g := x.graph
	g.Modules = []graph.Module{{ID: module}}
	g.Operators = slices.Clone(g.Operators)
	for i := range g.Operators {
		if op := &g.Operators[i]; op.Function != nil {
			op.Function = &graph.FunctionRef{Module: module, Name: op.Function.Name}
		}
	}
	return g
}

func (x *tagging) header() wire.Header { return wire.Header{Epoch: x.jm.epoch, Job: "job", Attempt: 1} }

func (x *tagging) prepare(number uint32, g graph.JobGraph) error {
	return x.tm.Prepare(x.t.Context(), &wire.Prepare{Header: x.header(), Exchange: number, Graph: g})
}

func (x *tagging) trigger(id checkpoint.ID, exchange uint32) {
	x.t.Helper()
	m := &wire.Trigger{Header: x.header(), Checkpoint: id, Base: id - 1, Tasks: []graph.TaskID{{}}, Exchange: exchange}
	if err := x.tm.Trigger(x.t.Context(), m); err != nil {
		x.t.Fatal(err)
	}
}

// expect waits for as many records, and holds them against what they must be.
func (x *tagging) expect(want ...string) {
	x.t.Helper()
	x.sink.await(len(want))
	if got := x.sink.sorted(); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		x.t.Errorf("%q (expected %q)", got, want)
	}
}

// end cancels the job, and sees that no instance of any module is left.
func (x *tagging) end() {
	x.t.Helper()
	x.cancel()
	x.jm.ends(x.tasks)
	x.tm.stop()
	for id, m := range x.modules {
		if m.instances.Load() != m.closed.Load() {
			x.t.Errorf("module %s: %d of %d instances are closed", id, m.closed.Load(), m.instances.Load())
		}
	}
}

func (x *tagging) instances(module graph.ModuleID, want int32) {
	x.t.Helper()
	if n := x.modules[module].instances.Load(); n != want {
		x.t.Errorf("%d instances of module %s (expected %d)", n, module, want)
	}
}

func TestGuestsAreExchangedBehindTheBarrier(t *testing.T) {
	x := newTagging(t)
	x.source.give("a", "b")
	x.expect("a/old/old", "b/old/old")
	for range 2 { // the second time changes nothing
		if err := x.prepare(1, x.upgraded("new")); err != nil {
			t.Fatal(err)
		}
	}
	x.instances("new", 3)
	x.source.give("c")
	x.expect("a/old/old", "b/old/old", "c/old/old")
	x.trigger(1, 1)
	begun := time.Now()
	x.jm.acknowledged(1, 3)
	if time.Since(begun) >= trialLimit {
		t.Error("tasks that have no input hold their acknowledgement back")
	}
	x.source.give("d")
	x.expect("a/old/old", "b/old/old", "c/old/old", "d/new/new")
	if err := x.prepare(2, x.upgraded("m")); err != nil {
		t.Fatal(err)
	}
	x.trigger(2, 2) // its base says that the first is completed
	x.jm.acknowledged(2, 3)
	if n := x.modules["m"].closed.Load(); n != 3 {
		t.Errorf("%d instances of the first module are closed (expected 3: that exchange is decided)", n)
	}
	x.source.give("e")
	x.expect("a/old/old", "b/old/old", "c/old/old", "d/new/new", "e/old/old")
	x.end()
}

// A chain that calls two modules goes on with one of them exchanged, and a fresh instance of the other.
func TestOneModuleOfAChainIsExchanged(t *testing.T) {
	x := newTaggingOf(t, 1, func(g *graph.JobGraph) {
		g.Modules = append(g.Modules, graph.Module{ID: "lib"})
		g.Operators[2].Function = &graph.FunctionRef{Module: "lib", Name: "second"}
	})
	if x.tasks != 1 {
		t.Fatalf("%d tasks (expected one chain)", x.tasks)
	}
	x.source.give("a")
	x.expect("a/old/lib")
	next := x.upgraded("new")
	next.Modules = append(next.Modules, graph.Module{ID: "lib"})
	next.Operators[2].Function = x.graph.Operators[2].Function
	if err := x.prepare(1, next); err != nil {
		t.Fatal(err)
	}
	x.trigger(1, 1)
	x.jm.acknowledged(1, 1)
	x.source.give("b")
	x.expect("a/old/lib", "b/new/lib")
	x.end()
}

// An instance that dies behind the exchange is replaced by one of the new module.
func TestATrapBehindTheExchangeRenewsTheNewModule(t *testing.T) {
	x := newTagging(t)
	died := false
	x.modules["new"].functions[0].kill = func(int, [][]byte) *host.Error {
		if died {
			return nil
		}
		died = true
		return &host.Error{Kind: host.KindTrap, Message: "unreachable", Record: abi.None}
	}
	if err := x.prepare(1, x.upgraded("new")); err != nil {
		t.Fatal(err)
	}
	x.trigger(1, 1)
	x.jm.acknowledged(1, 3)
	x.source.give("a")
	x.expect("a/new/new")
	x.instances("new", 4)
	x.instances("m", 3)
	x.end()
}

// Guests that trap on what lies behind the barrier are not acknowledged.
func TestATrapAtOnceIsNotAcknowledged(t *testing.T) {
	x := newTagging(t)
	x.modules["new"].functions[0].kill = func(int, [][]byte) *host.Error {
		return &host.Error{Kind: host.KindTrap, Message: "unreachable", Record: abi.None}
	}
	if err := x.prepare(1, x.upgraded("new")); err != nil {
		t.Fatal(err)
	}
	x.source.mu.Lock()
	x.source.flood = true
	x.source.mu.Unlock()
	x.trigger(1, 1)
	failed := x.jm.await(1, func(r *wire.Report) bool { return r.State == wire.TaskFailed })[0]
	if failed.Task != (graph.TaskID{}) || failed.Failure.Kind != wire.KindGuest {
		t.Errorf("task %s failed: %+v", failed.Task, failed.Failure)
	}
	x.jm.mu.Lock()
	for _, a := range x.jm.acks {
		if a.Task == (graph.TaskID{}) {
			t.Errorf("its part of checkpoint %d was acknowledged", a.Checkpoint)
		}
	}
	x.jm.mu.Unlock()
	x.end()
}

// What cannot be prepared is refused, and leaves nothing; the tasks go on as they are.
func TestWhatCannotBePreparedLeavesNothing(t *testing.T) {
	x := newTagging(t)
	if err := x.prepare(5, x.upgraded("broken")); err == nil || err.Error() != "start module broken: it does not start" {
		t.Errorf("a module that does not start: %v", err)
	}
	x.instances("broken", 1)
	if n := x.modules["broken"].closed.Load(); n != 1 {
		t.Errorf("%d instances of it are closed (expected 1)", n)
	}
	other := x.upgraded("new")
	other.Operators[1].Name = "other"
	stale := x.header()
	stale.Attempt = 2
	for _, c := range []struct {
		name string
		m    wire.Prepare
		kind wire.Kind
	}{
		{"an older number", wire.Prepare{Header: x.header(), Exchange: 4, Graph: x.upgraded("new")}, wire.KindStale},
		{"another attempt", wire.Prepare{Header: stale, Exchange: 6, Graph: x.upgraded("new")}, wire.KindStale},
		{"another graph", wire.Prepare{Header: x.header(), Exchange: 6, Graph: other}, wire.KindInternal},
	} {
		var f *wire.Failure
		if err := x.tm.Prepare(t.Context(), &c.m); !errors.As(err, &f) || f.Kind != c.kind {
			t.Errorf("%s: %v (expected kind %d)", c.name, err, c.kind)
		}
	}
	if err := x.prepare(7, x.upgraded("new")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := x.tm.Conclude(t.Context(), &wire.Conclude{Header: x.header(), Dropped: 7}); err != nil {
			t.Errorf("drop: %v", err)
		}
	}
	if n := x.modules["new"].closed.Load(); n != 3 {
		t.Errorf("%d instances of what was dropped are closed (expected 3)", n)
	}
	x.source.give("a")
	x.expect("a/old/old")
	x.trigger(1, 7)
	failed := x.jm.await(1, func(r *wire.Report) bool { return r.State == wire.TaskFailed })[0]
	if failed.Failure.Message != "exchange modules: nothing is prepared for exchange 7" {
		t.Errorf("a barrier for what was dropped: %+v", failed.Failure)
	}
	x.end()
}

// A preparation that comes when the exchange is over, or its task has ended, is freed at once.
func TestALatePreparationIsFreed(t *testing.T) {
	m := &fakeModule{}
	made := func() []*guest {
		g := &guest{ctx: t.Context(), start: func(context.Context) (sandbox, error) { return m.start(), nil }}
		if err := g.open(); err != nil {
			t.Fatal(err)
		}
		return []*guest{g}
	}
	closed := func(what string, want int32) {
		t.Helper()
		if n := m.closed.Load(); n != want {
			t.Errorf("%s: %d instances are closed (expected %d)", what, n, want)
		}
	}
	var s standby
	s.put(2, made())
	s.put(3, made())
	closed("a newer one", 1)
	if _, ok := s.take(2); ok {
		t.Error("the older one is there")
	}
	s.drop(2)
	closed("the older one is dropped", 1)
	guests, ok := s.take(3)
	if _, again := s.take(3); !ok || again {
		t.Errorf("taken %v, again %v", ok, again)
	}
	s.put(3, made())
	closed("one that was taken", 2)
	s.drop(5)
	s.put(4, made())
	closed("one that was dropped", 3)
	s.put(6, made())
	s.close()
	s.put(7, made())
	closed("the task has ended", 5)
	release(guests)
	closed("all", 6)
}
