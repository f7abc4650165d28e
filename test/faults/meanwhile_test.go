//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// meanwhile is a scenario of a phase that is the JobManager's: it stands still in it while a TaskManager is killed, and
// learns of that when it goes on.
func meanwhile(s scenario, p failpoint.Point, ask func(x *run)) scenario {
	s.prepare = func(x *run) { x.jm.fault = atSome(x, p, "stop") }
	s.fault = func(x *run) {
		if p != failpoint.Submit { // else it was met when the job was submitted
			if ask != nil {
				x.completes(1)
				ask(x)
			}
			x.killWhileStopped()
		}
		x.mended()
	}
	return s
}

// killWhileStopped waits until the JobManager stands still, kills a TaskManager, and lets the JobManager go on.
func (x *run) killWhileStopped() {
	x.t.Helper()
	x.until(30*time.Second, "the JobManager stops in the phase", func(context.Context) bool { return x.jm.stopped() })
	p := x.tms[x.random.IntN(len(x.tms))]
	p.kill()
	x.jm.signal(syscall.SIGCONT)
	x.pass(x.someTime(500 * time.Millisecond))
	x.revive(p)
}

// stops end a job with a savepoint, drained or not, while a process is killed: another job goes on from it, or, if the stop
// was given up, from a second one.
func stops() (all []scenario) {
	for _, drain := range []bool{true, false} {
		what := map[bool]string{true: "drain with a savepoint", false: "stop with a savepoint"}[drain]
		take := &api.TakeSavepoint{Stop: true, Drain: drain}
		at := func(action string) func(x *run) {
			return func(x *run) { x.jm.fault = fmt.Sprintf("%s=%s@1", failpoint.Savepoint, action) }
		}
		all = append(all,
			scenario{row: "1", name: what, workload: workload.Ledger, fullOnly: !drain, prepare: at("stop"),
				fault: func(x *run) { x.stopsUnder(take, x.killWhileStopped) }},
			scenario{row: "2", name: what, workload: workload.Ledger, fullOnly: drain, prepare: at("kill"),
				fault: func(x *run) {
					x.stopsUnder(take, func() {
						x.until(30*time.Second, "the JobManager is killed in the phase", func(context.Context) bool { return !x.jm.runs() })
						x.jmDied = true
						x.revive(x.jm)
					})
				}},
			scenario{row: "3", name: what + ", random kills", workload: workload.Ledger, fullOnly: true,
				fault: func(x *run) { x.stopsUnder(take, x.strike) }})
	}
	return all
}

// stopsUnder asks for a stop while processes are killed.
func (x *run) stopsUnder(take *api.TakeSavepoint, kill func()) {
	x.t.Helper()
	stop := func(path string, during func()) bool {
		t := *take
		t.Path = path
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := x.client.TakeSavepoint(ctx, x.job, &t)
			done <- err
		}()
		during()
		return x.hasStopped(<-done)
	}
	x.completes(1)
	x.note = "stopped at once"
	path := x.path("savepoint")
	if !stop(path, kill) {
		x.savepointIs(path)
		x.note = "the stop was given up, and asked for again"
		x.mended()
		path = x.path("savepoint-2")
		if !stop(path, func() {}) {
			x.t.Fatal("the job does not stop when nothing is broken")
		}
	}
	if !x.savepointIs(path) {
		x.t.Fatalf("the job has stopped, and %s is no savepoint", path)
	}
	x.another(path)
	x.mended()
}

// hasStopped waits until it is clear whether the job has ended with what it was asked for; err is the answer.
func (x *run) hasStopped(err error) (ended bool) {
	x.t.Helper()
	x.until(30*time.Second, "the job has stopped, or goes on", func(ctx context.Context) bool {
		j := x.look(ctx)
		ended = j != nil && j.State == api.JobFinished
		return ended || err != nil && j != nil && j.State == api.JobRunning
	})
	return ended
}

// savepointIs looks at what is left of a savepoint. It is one when the job says so: then it is sealed and whole. Else it is
// refused by who would go on from it.
func (x *run) savepointIs(path string) (sealed bool) {
	x.t.Helper()
	listed := false
	x.until(20*time.Second, "the job's savepoints are sealed", func(ctx context.Context) bool {
		made, err := x.client.JobSavepoints(ctx, x.job)
		i := slices.IndexFunc(made, func(s api.Savepoint) bool { return s.Path == path })
		listed = i >= 0
		return err == nil && (!listed || made[i].Sealed)
	})
	store, err := blob.OpenDir(path)
	if err != nil {
		x.t.Fatal(err)
	}
	defer store.Close()
	v, err := savepoint.Verify(context.Background(), store)
	switch {
	case listed && err != nil:
		x.t.Errorf("the job says that there is a savepoint in %s: %v", path, err)
	case listed && (len(v.Faults) > 0 || v.Files == 0):
		x.t.Errorf("the savepoint in %s: %d files, damaged: %v", path, v.Files, v.Faults)
	case !listed && err == nil:
		x.t.Errorf("there is a sealed savepoint in %s of which the job does not know", path)
	case !listed && !errors.Is(err, savepoint.ErrNone) && !errors.Is(err, savepoint.ErrIncomplete):
		x.t.Errorf("what is left in %s: %v", path, err)
	case !listed:
		x.refusesFrom(path)
	}
	x.effect("%s", map[bool]string{true: "(the savepoint is whole)", false: "(there is no savepoint)"}[listed])
	return listed
}

// refusesFrom wants no job to begin from there.
func (x *run) refusesFrom(path string) {
	x.t.Helper()
	was, err := x.client.GetJob(context.Background(), x.job)
	if err != nil {
		x.t.Fatal(err)
	}
	n := 2
	j, err := x.client.SubmitJob(context.Background(), &api.Submit{Module: graph.ModuleID(was.Module), Params: x.params, Parallelism: &n, Directory: x.dir,
		Request: wire.RequestID(fmt.Sprintf("refused-%d", x.seed)), From: path})
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Kind != api.KindInvalid {
		x.t.Errorf("a job from %s, which is no savepoint: %+v, %v (expected to be refused)", path, j, err)
	}
}
