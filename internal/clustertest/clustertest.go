// Package clustertest runs a whole cluster inside one test, in virtual time: the real JobManager and TaskManagers, real
// QUIC over a simulated network, real guests in their sandboxes, with the in-memory twin of the state store, and metadata
// and checkpoints on simulated disks. It knows how to break each of them, on purpose and by a seed, and how to tell what
// took effect. What a job's output must be is the business of package workload below it.
package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/jobmanager"
)

// Config is what a simulated cluster is made of.
type Config struct {
	Seed         uint64
	TaskManagers int
	Slots        int // of each TaskManager
	Checkpoint   time.Duration
	Barriers     Barriers
	Guest        []byte // the module that the job begins with
	Params       map[string]string
	Parallelism  int
	Connectors   *connector.Registry
	Cache        string // directory of compiled modules, which outlives the cluster
	Timeless     bool   // the job may be drained before its input has ended
	Batch        bool   // the job runs in batch mode
	Budget       int64  // bytes of memory of a slot's state; 0: no limit
}

// Barriers say how checkpoints pass what is in flight, and see to it that something is.
type Barriers struct {
	Unaligned bool          // all overtake it
	Patience  time.Duration // after which they do; 0: never
	Slow      bool          // sinks take less than sources give, and queues are short
	Stuck     bool          // with Slow: after its first batch a sink takes none for an hour
}

// Cluster is a simulated cluster with one job. Its methods are called by the test's goroutine, inside the bubble.
type Cluster struct {
	t       testing.TB
	config  Config
	random  *rand.Rand
	trace   *Trace
	dir     string
	engine  *host.Engine
	net     *network
	ca      *transport.CA
	meta    *metadata
	trouble *trouble
	blobs   *jobmanager.MemoryBlobs
	disk    *disk
	outside *outside

	jm     *jobManager
	tms    []*taskManager // the newest incarnation of each
	starts int            // processes so far: each has an address of its own
	job    graph.JobID
	before []string          // the jobs that this one has gone on from, the oldest first
	broken error             // what a fault found wrong with the cluster
	lost   map[string]string // output that was given up, by its name: where it is

	upgrades int // so far
}

// Start starts a cluster: a JobManager and its TaskManagers.
func Start(t testing.TB, c Config) *Cluster {
	t.Helper()
	ctx := context.Background()
	x := &Cluster{
		t: t, config: c, random: rand.New(rand.NewPCG(c.Seed, 1)), trace: newTrace(c.Seed), dir: t.TempDir(),
		net: newNetwork(), meta: newMetadata(), blobs: jobmanager.NewMemoryBlobs(), outside: newOutside(c.Seed), lost: map[string]string{},
	}
	var err error
	if x.engine, err = host.NewEngine(ctx, host.Config{CacheDir: c.Cache}); err != nil {
		t.Fatal(err)
	}
	if x.ca, err = transport.NewCA(); err != nil {
		t.Fatal(err)
	}
	x.trouble = newTrouble(x.trace, c.Seed)
	x.disk = newDisk(x.trace, c.Seed)
	x.StartJobManager()
	for i := range c.TaskManagers {
		x.tms = append(x.tms, nil)
		x.StartTaskManager(i)
	}
	return x
}

// Close stops everything that runs. What the processes answer is of no interest any more.
func (x *Cluster) Close() {
	for i := range x.tms {
		x.KillTaskManager(i)
	}
	x.KillJobManager()
	x.trouble.close()
	if err := x.engine.Close(context.Background()); err != nil {
		x.t.Error(err)
	}
}

// Submit uploads the guest and runs the job.
func (x *Cluster) Submit() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := x.jm.jm.UploadModule(ctx, bytes.NewReader(x.config.Guest))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	n, mode := x.config.Parallelism, api.ModeStreaming
	if x.config.Batch {
		mode = api.ModeBatch
	}
	j, err := x.jm.jm.SubmitJob(ctx, &api.Submit{Module: m.ID, Params: x.config.Params, Parallelism: &n, Directory: x.dir, Mode: mode})
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	x.job = j.ID
	x.trace.Add("submitted job %s", j.ID)
	return nil
}

// jobs are those that have written the output, in their order.
func (x *Cluster) jobs() []string {
	return append(x.before[:len(x.before):len(x.before)], string(x.job))
}

// Job is the job as the JobManager that runs now sees it; nil while none runs.
func (x *Cluster) Job() *api.Job {
	if x.jm == nil {
		return nil
	}
	j, err := x.jm.jm.GetJob(context.Background(), x.job)
	if err != nil {
		return nil
	}
	return j
}

var errNoJobManager = errors.New("there is no JobManager")

// Await waits, in virtual time, until the job has ended.
func (x *Cluster) Await(limit time.Duration) (*api.Job, error) {
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		if j := x.Job(); j != nil && j.State.Terminal() {
			return j, nil
		}
		time.Sleep(100 * time.Millisecond) // virtual
	}
	j := x.Job()
	if j == nil {
		return nil, errNoJobManager
	}
	return j, fmt.Errorf("job is %s after %s: %v", j.State, limit, j.Failure)
}

func (x *Cluster) log(process string) *slog.Logger {
	return slog.New(slog.NewTextHandler(x.trace.writer(process), &slog.HandlerOptions{Level: slog.LevelInfo}))
}
