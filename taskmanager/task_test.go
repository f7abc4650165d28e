package taskmanager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

func copyModule() *fakeModule {
	return &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
}

func TestPanicOfATaskIsItsFailure(t *testing.T) {
	source := &listSource{splits: [][]string{{"a"}}, poll: func() error { panic("out of cheese") }}
	f := newFixture(t, source, copyModule(), graph.Operator{Name: "copy"})
	if got := f.failed(); got.Kind != wire.KindInternal || !strings.Contains(got.Message, "out of cheese") {
		t.Errorf("kind %d, %q", got.Kind, got.Message)
	}
}

func TestErrorsOfConnectors(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want wire.Failure
	}{
		"the user's": {&connector.Error{Op: "list", Err: errors.New("no such thing"), Hint: "look again"}, wire.Failure{Kind: wire.KindInput, Hint: "look again"}},
		"the disk's": {errors.New("read error"), wire.Failure{Kind: wire.KindIO}},
	} {
		t.Run(name, func(t *testing.T) {
			source := &listSource{splits: [][]string{{"a"}}, poll: func() error { return c.err }}
			f := newFixture(t, source, copyModule(), graph.Operator{Name: "copy"})
			got := f.failed()
			if got.Kind != c.want.Kind || got.Hint != c.want.Hint || got.Operator != "lines" || !strings.Contains(got.Message, "read split list[0]") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestModuleThatDoesNotStartIsNotRetried(t *testing.T) {
	f := newFixture(t, &listSource{splits: [][]string{{"a"}}}, copyModule(), graph.Operator{Name: "copy"})
	f.tm.start = func(context.Context, *task, graph.Module, *guest) (sandbox, error) {
		return nil, &host.Error{Kind: host.KindManifest, Message: "another graph", Record: abi.None}
	}
	if got := f.failed(); got.Kind != wire.KindModule || !strings.Contains(got.Message, "another graph") {
		t.Errorf("%+v", got)
	}
}

// The tasks that a failed one talks to must not fail before the cause has been told.
func TestFailureIsNotFollowedByThoseItCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := copyModule()
		m.functions[0].kill = trapOn("line 50", host.KindTrap)
		f := newFixture(t, &listSource{splits: [][]string{numbered(100)}}, m, graph.Operator{Name: "copy", Parallelism: 2}, graph.Operator{Name: "out", Kind: abi.OperatorSink})
		n := f.deploy()
		failed := f.jm.await(1, func(r *wire.Report) bool { return r.State == wire.TaskFailed })
		time.Sleep(time.Minute)
		if failed[0].Failure.Kind != wire.KindGuest {
			t.Errorf("%+v", failed[0].Failure)
		}
		f.cancel()
		failures := 0
		for _, r := range f.jm.ends(n) {
			if r.State == wire.TaskFailed {
				failures++
			}
		}
		if failures != 1 {
			t.Errorf("%d tasks failed (expected the one whose guest trapped)", failures)
		}
		f.stop()
	})
}

func TestUnansweredRequestIsRepeatedAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &listSource{splits: [][]string{{"a"}, {"b"}}}, copyModule(), graph.Operator{Name: "copy"})
		var asked []string
		f.jm.refuse = func(request string) error {
			asked = append(asked, request)
			if len(asked)%3 != 0 {
				return errSilent
			}
			return nil
		}
		f.run()
		if got := f.sink.sorted(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %q", got)
		}
		if len(asked) != 9 || asked[0] != asked[2] || asked[2] == asked[3] {
			t.Errorf("asked %q (expected each of three thrice)", asked)
		}
		f.stop()
	})
}

func TestCommitReachesEachSink(t *testing.T) {
	f := newFixture(t, &listSource{splits: [][]string{{"a"}}}, copyModule(), graph.Operator{Name: "copy"})
	var prepared []connector.Committable
	for _, r := range f.run() {
		prepared = append(prepared, r.Prepared...)
	}
	if len(prepared) != 1 || prepared[0].Operator != "out" {
		t.Fatalf("prepared %+v", prepared)
	}
	c := &wire.Commit{Header: wire.Header{Epoch: 1, Job: "job", Attempt: 1}, Graph: f.graph, Checkpoint: 7, Prepared: prepared}
	if err := f.tm.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if len(f.sink.committed) != 1 {
		t.Errorf("%d committed", len(f.sink.committed))
	}
	c.Epoch = 0
	if err := f.tm.Commit(t.Context(), c); !isStale(err) {
		t.Errorf("a commit of an older epoch: %v (expected stale)", err)
	}
}

func TestLogsOfGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &listSource{splits: [][]string{{"a"}}}, copyModule(), graph.Operator{Name: "copy"})
		f.tm.start = func(_ context.Context, task *task, _ graph.Module, g *guest) (sandbox, error) {
			for i := range 2 * keptLines {
				time.Sleep(time.Millisecond)
				task.logGuest("copy", abi.LogWarn, fmt.Sprint("line ", i))
			}
			return f.module.start(), nil
		}
		f.run()
		all, err := f.tm.Logs(t.Context(), "job", time.Time{}, 5)
		if err != nil || len(all) != 5 || all[4].Text != fmt.Sprint("line ", 2*keptLines-1) || all[4].Level != "WARN" || all[4].Operator != "copy" {
			t.Errorf("last lines %+v, %v", all, err)
		}
		next, err := f.tm.Logs(t.Context(), "job", all[0].Time, 2)
		if err != nil || len(next) != 2 || next[0].Text != all[1].Text {
			t.Errorf("lines after %q: %+v, %v", all[0].Text, next, err)
		}
		if none, err := f.tm.Logs(t.Context(), "unknown", time.Time{}, 5); err != nil || len(none) != 0 {
			t.Errorf("lines of an unknown job: %v, %v", none, err)
		}
		f.stop()
	})
}

func TestFiguresCountWhatTasksDo(t *testing.T) {
	f := newFixture(t, &listSource{splits: [][]string{{"a b", "c"}}, endless: true}, copyModule(), graph.Operator{Name: "copy"})
	f.graph.Operators[1].Inputs[0].Partition = graph.Rebalance
	n := f.deploy()
	f.jm.running(n)
	f.sink.await(2)
	f.cancel()
	for _, r := range f.jm.ends(n) {
		if m := r.Metrics; m.RecordsIn != 2 || m.RecordsOut != 2 || m.BytesIn == 0 || m.BytesOut == 0 || m.BusyNs == 0 {
			t.Errorf("task %s: %+v", r.Task, m)
		}
	}
}

// The end of the liveness connection is the end of the JobManager, long before heartbeats tell.
func TestLivenessConnection(t *testing.T) {
	identity := selfSigned(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", identity)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tm := New(Config{ID: "tm-9", LivenessTLS: identity})
	gone := make(chan error, 1)
	go func() { gone <- tm.watch(t.Context(), l.Addr().String()) }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, len("tm-9\n"))
	if _, err := net.Conn(c).Read(hello); err != nil || string(hello) != "tm-9\n" {
		t.Fatalf("it said %q, %v", hello, err)
	}
	c.Close()
	if err := <-gone; !errors.Is(err, errJobManagerGone) {
		t.Errorf("%v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() { gone <- tm.watch(ctx, l.Addr().String()) }()
	if c, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(hello); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
