package taskmanager

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// Every state that a task can be in ends at once when it is cancelled.
func TestCancelEndsEveryTaskAtOnce(t *testing.T) {
	endless := func(lines ...string) *listSource { return &listSource{splits: [][]string{lines}, endless: true} }
	for name, c := range map[string]struct {
		source *listSource
		module *fakeModule
		delay  time.Duration // of the sink
		until  func(f *fixture) bool
	}{
		"waiting for input": {source: endless("a")},
		"spinning guest":    {source: endless("a"), module: &fakeModule{spin: make(chan struct{})}},
		"slow sink":         {source: endless(numbered(10_000)...), delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := c.module
				if m == nil {
					m = &fakeModule{}
				}
				m.functions = []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}
				f := newFixture(t, c.source, m, graph.Operator{Name: "copy"})
				f.sink.delay = c.delay
				f.graph.Operators[1].Inputs[0].Partition = graph.Rebalance // two chains
				n := f.deploy()
				f.jm.running(n)
				synctest.Wait()
				begun := time.Now()
				f.cancel()
				for _, r := range f.jm.ends(n) {
					if r.State != wire.TaskCanceled {
						t.Errorf("task %s ended %s: %v", r.Task, r.State, r.Failure)
					}
				}
				if took := time.Since(begun); took > 100*time.Millisecond {
					t.Errorf("it took %s", took)
				}
				f.stop()
			})
		})
	}
}

func TestSlowSinkHoldsTheSourceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := numbered(200_000)
		m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
		f := newFixture(t, &listSource{splits: [][]string{lines}}, m, graph.Operator{Name: "copy"})
		f.sink.delay = time.Hour
		f.graph.Operators[1].Inputs[0].Partition = graph.Rebalance
		n := f.deploy()
		f.jm.running(n)
		synctest.Wait()
		read := int64(0)
		for _, task := range f.tm.tasks() {
			if task.id.Chain == 0 {
				read = task.metrics.recordsIn.Load()
			}
		}
		if read == 0 || read > 60_000 {
			t.Errorf("%d records were read while the sink took one batch (expected as much as the channel holds)", read)
		}
		time.Sleep(10 * time.Second)
		f.cancel()
		f.jm.ends(n)
		var blocked int64
		for _, r := range f.jm.ends(n) {
			blocked += r.Metrics.BlockedNs
		}
		if blocked < int64(19*time.Second) {
			t.Errorf("blocked for %s (expected two tasks for 10 s)", time.Duration(blocked))
		}
		f.stop()
	})
}

// Records that no others follow are sent after a while at the latest, and at once when the task has nothing else to do.
func TestFewRecordsDoNotWaitForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeModule{functions: []fakeFunction{splitWords, byWord}}
		f := newFixture(t, &listSource{splits: [][]string{{"a b a"}}, endless: true}, m, countJob(1)...)
		n := f.deploy()
		f.jm.running(n)
		synctest.Wait() // no time passes
		if f.sink.written != 2 {
			t.Errorf("%d results are there (expected those of a and b)", f.sink.written)
		}
		f.cancel()
		f.jm.ends(n)
		f.stop()
	})
}

func TestLostJobManagerEndsAllTasksAndIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
		f := newFixture(t, &listSource{splits: [][]string{{"a"}}, endless: true}, m, graph.Operator{Name: "copy"})
		n := f.deploy()
		f.jm.running(n)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		f.jm.mu.Lock()
		if len(f.jm.heartbeats) < 9 || len(f.jm.heartbeats[5].Tasks) != n {
			t.Errorf("%d heartbeats (expected one a second, with %d tasks)", len(f.jm.heartbeats), n)
		}
		f.jm.mu.Unlock()
		f.jm.silent.Store(true)
		time.Sleep(2500 * time.Millisecond)
		if len(f.tm.tasks()) != n {
			t.Error("tasks ended before the JobManager was silent for 3 s")
		}
		time.Sleep(2 * time.Second)
		if len(f.tm.tasks()) != 0 {
			t.Error("tasks run although the JobManager is lost")
		}
		f.jm.mu.Lock()
		f.jm.epoch = 2
		f.jm.mu.Unlock()
		f.jm.silent.Store(false)
		f.awaitRegistered(2)
		var stale *wire.Failure
		old := f.message(2)
		old.Epoch = 1
		if err := f.tm.Deploy(context.Background(), old); !errors.As(err, &stale) || stale.Kind != wire.KindStale {
			t.Errorf("a message of epoch 1: %v (expected it to be refused as stale)", err)
		}
		if err := f.tm.Deploy(context.Background(), f.message(2)); err != nil {
			t.Errorf("deploy under the new epoch: %v", err)
		}
		f.stop()
	})
}

// Tasks that come for a registration that is over would be nobody's: the JobManager has taken them for lost. So they are
// refused, between that registration and the next, and behind it, though the epoch is the same.
func TestDeployForARegistrationThatIsOverIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
		f := newFixture(t, &listSource{splits: [][]string{{"a"}}, endless: true}, m, graph.Operator{Name: "copy"})
		synctest.Wait()
		f.jm.mu.Lock()
		f.jm.session = 1
		f.jm.mu.Unlock()
		refused := func(when string, session uint64) {
			t.Helper()
			d := f.message(1)
			d.Session = session
			var lost *wire.Failure
			if err := f.tm.Deploy(t.Context(), d); !errors.As(err, &lost) || lost.Kind != wire.KindTaskManagerLost {
				t.Errorf("%s: deploy for registration %d: %v (expected that it is lost)", when, session, err)
			}
			if n := len(f.tm.tasks()); n > 0 {
				t.Errorf("%s: %d tasks", when, n)
			}
		}
		f.jm.silent.Store(true)
		time.Sleep(5 * time.Second)
		refused("the JobManager is lost", 0)
		f.jm.silent.Store(false)
		f.awaitRegistered(2)
		synctest.Wait()
		refused("it is registered again", 0)
		d := f.message(1)
		d.Session = 1
		if err := f.tm.Deploy(t.Context(), d); err != nil {
			t.Errorf("deploy for the new registration: %v", err)
		}
		f.stop()
	})
}

// A job that waits for slots is deployed as soon as there are some: before the TaskManager knows that it is registered.
func TestDeployOvertakesTheAnswerToARegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
		f := newFixture(t, &listSource{splits: [][]string{{"a"}}, endless: true}, m, graph.Operator{Name: "copy"})
		synctest.Wait()
		f.jm.silent.Store(true)
		time.Sleep(5 * time.Second)
		f.jm.mu.Lock()
		f.jm.session, f.jm.onTheWay = 1, make(chan struct{})
		f.jm.mu.Unlock()
		f.jm.silent.Store(false)
		f.awaitRegistered(2)
		d := f.message(1)
		d.Session = 1
		deployed := make(chan error, 1)
		go func() { deployed <- f.tm.Deploy(t.Context(), d) }()
		synctest.Wait()
		select {
		case err := <-deployed:
			t.Fatalf("deploy before the registration is answered: %v (expected that it waits)", err)
		default:
		}
		close(f.jm.onTheWay)
		if err := <-deployed; err != nil {
			t.Errorf("deploy: %v", err)
		}
		f.stop()
	})
}

func TestNewerEpochEndsTasksOfTheOlder(t *testing.T) {
	m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
	f := newFixture(t, &listSource{splits: [][]string{{"a"}}, endless: true}, m, graph.Operator{Name: "copy"})
	n := f.deploy()
	f.jm.running(n)
	a := f.tm.jobs["job"].current
	f.jm.mu.Lock()
	f.jm.epoch = 5
	f.jm.mu.Unlock()
	if err := f.tm.Deploy(t.Context(), f.message(2)); err != nil {
		t.Fatal(err)
	}
	a.wg.Wait()
	f.jm.running(2 * n)
}

func TestDeployIsIdempotentAndFenced(t *testing.T) {
	m := &fakeModule{functions: []fakeFunction{{name: "copy", kind: abi.FunctionMap, each: copyRecord}}}
	f := newFixture(t, &listSource{splits: [][]string{{"a"}}, endless: true}, m, graph.Operator{Name: "copy"})
	n := f.deploy()
	f.jm.running(n)
	f.deploy()
	if got := int(m.instances.Load()); got != 1 {
		t.Errorf("%d instances after the same deployment twice (expected 1)", got)
	}
	if err := f.tm.Deploy(t.Context(), f.message(3)); err != nil {
		t.Fatal(err)
	}
	ends := f.jm.await(n, func(r *wire.Report) bool { return r.Attempt == 1 && r.State != wire.TaskRunning })
	for _, r := range ends {
		if r.State != wire.TaskCanceled {
			t.Errorf("task %s of attempt 1 ended %s", r.Task, r.State)
		}
	}
	var stale *wire.Failure
	if err := f.tm.Deploy(t.Context(), f.message(2)); !errors.As(err, &stale) || stale.Kind != wire.KindStale {
		t.Errorf("deploy of an older attempt: %v (expected stale)", err)
	}
	cancel := &wire.Cancel{Header: wire.Header{Epoch: 1, Job: "other", Attempt: 4}}
	if err := f.tm.Cancel(t.Context(), cancel); err != nil {
		t.Fatal(err)
	}
	late := f.message(4)
	late.Job = "other"
	if err := f.tm.Deploy(t.Context(), late); !errors.As(err, &stale) || stale.Kind != wire.KindStale {
		t.Errorf("deploy of a cancelled attempt: %v (expected stale)", err)
	}
	busy := f.message(1)
	busy.Job = "third"
	if err := f.tm.Deploy(t.Context(), busy); err == nil {
		t.Error("a slot took tasks of two jobs")
	}
	// An attempt that is attached could be attached again.
	if err := f.tm.config.Network.Attach(exchange.Attempt{Job: "third", Epoch: 1, Attempt: 1}); !errors.Is(err, exchange.ErrStale) {
		t.Errorf("attach a refused attempt: %v (expected that nothing of it is left)", err)
	}
}
