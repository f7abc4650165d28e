// Package taskmanager is the data plane: it runs the tasks that a JobManager deploys to this process. It knows slots,
// tasks, and how records go through a task; it decides nothing about jobs. A task is one goroutine over one chain of
// operators: source connectors, guest functions in their sandbox, native operators over their state, sinks, and the
// channels of package exchange between them.
package taskmanager

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// JobManager is what a TaskManager asks of its JobManager. Calls are made from several goroutines, and made again when
// they fail. An error that is a *wire.Failure of KindStale says that the epoch or attempt is over.
type JobManager interface {
	Register(ctx context.Context, r *wire.Register) (*wire.Registered, error)
	Heartbeat(ctx context.Context, h *wire.Heartbeat) (*wire.Noted, error)
	Report(ctx context.Context, r *wire.Report) error
	Acknowledge(ctx context.Context, a *wire.Acknowledge) error
	NextSplit(ctx context.Context, n *wire.NextSplit) (*wire.SplitAssignment, error)
	// Module returns the metered bytes of a module.
	Module(ctx context.Context, metered graph.ModuleID) (io.ReadCloser, error)
}

// Config is what a TaskManager is made of.
type Config struct {
	ID          wire.TaskManagerID
	Name        string // for people
	Slots       int
	Address     string // of this process's endpoint, as other processes reach it; empty when there are none
	Engine      *host.Engine
	Connectors  *connector.Registry
	Clients     map[string]Client // by the name that operators ask them by
	Network     *exchange.Network
	LivenessTLS *tls.Config   // of the liveness connection; nil: none is made
	MaxDelay    time.Duration // pipeline.max-delay, 10 ms when zero
	CallLimit   time.Duration // guest.call-limit; the engine's when zero
	StateDir    string        // for what tasks keep on this machine; the caller has locked it
	Files       durable.FS    // that has StateDir; the operating system's when nil; what is spilled is always with that
	State       StateLimits
	NewState    func(state.Config) (state.Store, error)
	OpenStore   func(ctx context.Context, url string) (blob.Store, error) // of checkpoints
	Print       func(line []byte)                                         // where print sinks write
	Log         *slog.Logger
}

// StateLimits bound what tasks remember.
type StateLimits struct {
	Budget  int64 // bytes of memory in one slot; the rest is in StateDir; 0: no limit, and StateDir is not used
	Quota   int64 // bytes of StateDir that one job may have; 0: no limit
	Reserve int64 // bytes that must stay free on its disk
}

// TaskManager runs tasks. Its methods may be called from any goroutine.
type TaskManager struct {
	config   Config
	disk     *spill.Disk                                                                   // of StateDir
	start    func(ctx context.Context, t *task, m graph.Module, g *guest) (sandbox, error) // a guest's instance
	reporter *reporter
	loads    sync.WaitGroup // modules that are being loaded, be it for tasks that are no more

	mu       sync.Mutex // guards what follows
	jm       JobManager // nil before Run
	closed   bool       // Run ends
	epoch    graph.Epoch
	session  uint64        // the registration that holds, as the JobManager numbers them
	answered chan struct{} // closed when the registration that is asked for is answered; nil: none is
	jobs     map[graph.JobID]*job
	live     map[*attempt]struct{} // that have tasks
	slots    slots
}

// New returns a TaskManager that runs nothing yet. The engine and the network stay the caller's to close, after Run has
// returned.
func New(c Config) *TaskManager {
	if c.MaxDelay == 0 {
		c.MaxDelay = 10 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Files == nil {
		c.Files = durable.OS
	}
	if c.Print == nil {
		c.Print = func([]byte) {}
	}
	if c.NewState == nil {
		c.NewState = func(c state.Config) (state.Store, error) { return state.New(c) }
	}
	disk := &spill.Disk{Dir: c.StateDir, Reserve: c.State.Reserve}
	tm := &TaskManager{config: c, disk: disk, reporter: newReporter(), jobs: map[graph.JobID]*job{}, live: map[*attempt]struct{}{}, slots: make(slots, c.Slots)}
	tm.start = tm.instantiate
	return tm
}

// job is what is remembered of a job: the attempt that may run here, and what its guests logged.
type job struct {
	id      graph.JobID
	logs    *logRing
	over    fence     // attempts up to this one have been cancelled
	current *attempt  // the newest that was deployed, nil before
	used    time.Time // when it was last spoken of
}

// fence is an attempt, in the order in which attempts follow each other.
type fence struct {
	epoch   graph.Epoch
	attempt graph.Attempt
}

func (f fence) before(g fence) bool {
	return f.epoch < g.epoch || f.epoch == g.epoch && f.attempt < g.attempt
}

// keptJobs bounds the jobs that are remembered after they have ended.
const keptJobs = 64

// adopt takes note of the epoch that a message carries. An older one than ours is refused. A newer one ends all tasks of
// ours: the JobManager that deployed them is no more.
func (tm *TaskManager) adopt(e graph.Epoch) error {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.adoptLocked(e)
}

func (tm *TaskManager) adoptLocked(e graph.Epoch) error {
	if e < tm.epoch {
		return refuse(wire.KindStale, "epoch %d (expected >= %d)", e, tm.epoch)
	}
	if e > tm.epoch {
		tm.epoch = e
		tm.stopLocked()
	}
	return nil
}

// stopLocked cancels every task, and returns the attempts that have some.
func (tm *TaskManager) stopLocked() []*attempt {
	var all []*attempt
	for a := range tm.live {
		a.cancel()
		all = append(all, a)
	}
	return all
}

// stop cancels every task and waits for their ends.
func (tm *TaskManager) stop() {
	tm.mu.Lock()
	all := tm.stopLocked()
	tm.mu.Unlock()
	for _, a := range all {
		a.wg.Wait()
	}
}

// jobOf returns what is known of a job, from now on something. tm.mu is held.
func (tm *TaskManager) jobOf(id graph.JobID) *job {
	j := tm.jobs[id]
	if j == nil {
		tm.forgetJobs()
		j = &job{id: id, logs: &logRing{}}
		tm.jobs[id] = j
	}
	j.used = time.Now()
	return j
}

// forgetJobs makes room for one more job. tm.mu is held.
func (tm *TaskManager) forgetJobs() {
	for len(tm.jobs) >= keptJobs {
		var oldest *job
		for _, j := range tm.jobs {
			if (j.current == nil || j.current.running == 0) && (oldest == nil || j.used.Before(oldest.used)) {
				oldest = j
			}
		}
		if oldest == nil {
			return // all of them run, and slots bound those
		}
		delete(tm.jobs, oldest.id)
	}
}

// Deploy starts tasks of an attempt. It has begun to when it returns; each task reports that it runs, or that it failed.
// Tasks that were deployed before are left alone.
func (tm *TaskManager) Deploy(ctx context.Context, d *wire.Deploy) error {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	tm.awaitSession(ctx, d.Session)
	if tm.jm == nil || tm.closed {
		return refuse(wire.KindTaskManagerLost, "deploy job %s: the TaskManager does not run", d.Job)
	}
	if err := tm.adoptLocked(d.Epoch); err != nil {
		return err
	}
	if d.Session != tm.session {
		return refuse(wire.KindTaskManagerLost, "deploy job %s: it is meant for registration %d of this TaskManager (now %d)", d.Job, d.Session, tm.session)
	}
	j := tm.jobOf(d.Job)
	at := fence{d.Epoch, d.Attempt}
	if !j.over.before(at) {
		return refuse(wire.KindStale, "deploy job %s: attempt %d was cancelled", d.Job, d.Attempt)
	}
	if j.current != nil && at.before(j.current.fence()) {
		return refuse(wire.KindStale, "deploy job %s: attempt %d (expected >= %d)", d.Job, d.Attempt, j.current.key.Attempt)
	}
	if j.current == nil || j.current.fence().before(at) {
		if j.current != nil {
			j.current.cancel()
		}
		a, err := newAttempt(tm, j, d)
		if err != nil {
			return err
		}
		j.current = a
	}
	err := j.current.deploy(d.Tasks, d.Replays)
	if err != nil && len(j.current.tasks) == 0 {
		j.current.abandon()
	}
	return err
}

// Cancel stops the tasks of an attempt and of all before it. It does not wait: each task reports its end.
func (tm *TaskManager) Cancel(_ context.Context, c *wire.Cancel) error {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	if err := tm.adoptLocked(c.Epoch); err != nil {
		return err
	}
	j := tm.jobOf(c.Job)
	if at := (fence{c.Epoch, c.Attempt}); j.over.before(at) {
		j.over = at
	}
	if j.current != nil && !j.over.before(j.current.fence()) {
		j.current.cancel()
	}
	return nil
}
