package jobmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// keptJobs is how many jobs that have ended are remembered; older ones are forgotten.
const keptJobs = 200

// JobManager is the control plane of one cluster. Its methods may be called from many goroutines after Start and until
// Close.
type JobManager struct {
	config    Config
	epoch     graph.Epoch
	resources *resourceManager
	liveness  *liveness // nil when everything is one process
	uploads   chan struct{}
	requests  atomic.Uint64
	untidy    chan struct{} // of capacity 1: an ended job owes something, or it can be settled

	ctx context.Context // ended by Close
	end context.CancelFunc
	wg  sync.WaitGroup // every goroutine but those of liveness

	keeping   sync.Mutex // held while a module is kept, so that one module is kept once
	past      sync.Mutex // held while the record of an ended job is changed or deleted
	submits   sync.Mutex // held while a job is stored, so that one request is one job
	registers sync.Mutex // held while a TaskManager registers, so that one registration follows the other
	sessions  uint64     // guarded by registers; those of another epoch are told apart by that
	mu        sync.Mutex
	jobs      map[graph.JobID]*jobMaster // guarded by mu
	closed    bool                       // guarded by mu; wg does not grow from outside any more
}

// New returns a JobManager that does nothing before Start.
func New(c Config) (*JobManager, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	jm := &JobManager{
		config: c, epoch: c.Meta.Epoch(), resources: newResourceManager(c.Now),
		uploads: make(chan struct{}, maxUploads), untidy: make(chan struct{}, 1), jobs: map[graph.JobID]*jobMaster{},
	}
	jm.ctx, jm.end = context.WithCancel(context.Background())
	return jm, nil
}

// Start takes over the jobs that the metadata knows: those that have not ended are run again under a new attempt, those
// whose end was decided are only committed. It does not wait for them.
func (jm *JobManager) Start(context.Context) error {
	for _, e := range jm.config.Meta.List(jobKey) {
		r, err := decodeJob(e.Key, e.Value)
		if err != nil {
			return err
		}
		jm.takeOver(*r)
	}
	if jm.config.LivenessTLS != nil {
		l, err := listenLiveness(jm.config.LivenessAddress, jm.config.LivenessTLS,
			func(id wire.TaskManagerID) bool { return jm.resources.find(id) != nil }, jm.resources.open, jm.Lost)
		if err != nil {
			return err
		}
		jm.liveness = l
	}
	jm.wg.Go(func() { jm.watchHeartbeats(jm.ctx) })
	jm.wg.Go(func() { jm.tidyUp(jm.ctx) })
	return nil
}

// Close stops everything here and waits for it. Jobs go on where they are when another JobManager starts on the same
// metadata.
func (jm *JobManager) Close() error {
	var err error
	if jm.liveness != nil {
		err = jm.liveness.close()
	}
	jm.mu.Lock()
	jm.closed = true
	jm.mu.Unlock()
	jm.end()
	jm.wg.Wait()
	for _, tm := range jm.resources.live() {
		jm.resources.remove(tm.info.TaskManager)
	}
	return err
}

// spawn starts a goroutine that Close waits for; false: Close has begun.
func (jm *JobManager) spawn(f func()) bool {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	if !jm.closed {
		jm.wg.Go(f)
	}
	return !jm.closed
}

// takeOver goes on with a job that another JobManager has left. Its input is listed first, unless its end is certain.
func (jm *JobManager) takeOver(r jobRecord) {
	if r.State.Terminal() {
		j := endedJob(jm, r)
		jm.know(j)
		if r.Stored && jm.takesCheckpoints() {
			j.settle()
		}
		return
	}
	j := newJobMaster(jm, r)
	jm.know(j)
	j.log.Info("take over job", "attempt", r.Attempt, "decided", r.Decision != nil, "cancelled", r.Cancelled)
	if r.Decision != nil || r.Cancelled {
		jm.wg.Go(func() { j.run(jm.ctx, evStart{}) })
		return
	}
	with := j.goOn()
	jm.wg.Go(func() { j.run(jm.ctx, nil) })
	j.later(func(ctx context.Context) event {
		sources, err := jm.splitsOf(ctx, &r)
		if err != nil {
			return evFailed{connectorFailure(err)}
		}
		jm.resources.gather(ctx, with, gatherLimit)
		j.mu.Lock()
		j.sources = sources
		j.mu.Unlock()
		return evStart{}
	})
}

// startJob runs a job that was just stored.
func (jm *JobManager) startJob(r jobRecord, sources map[string]connector.Splits) *jobMaster {
	j := newJobMaster(jm, r)
	j.sources = sources
	jm.know(j)
	if !jm.spawn(func() { j.run(jm.ctx, evStart{}) }) {
		close(j.done) // it is stored, and runs when a JobManager starts again
	}
	return j
}

func (jm *JobManager) know(j *jobMaster) {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	jm.jobs[j.id] = j
}

func (jm *JobManager) storeJob(r *jobRecord, with ...ha.Op) error {
	return jm.config.Meta.Apply(append(with, ha.Put(jobKey+string(r.ID), encode(r)))...)
}

// forgetOldJobs keeps what is remembered of ended jobs bounded; just ended is one more, and stays.
func (jm *JobManager) forgetOldJobs(justEnded graph.JobID) {
	var past []*jobMaster
	for _, j := range jm.allJobs() {
		if j.hasEnded() && j.id != justEnded {
			past = append(past, j)
		}
	}
	jm.past.Lock()
	defer jm.past.Unlock()
	for _, j := range past[min(len(past), keptJobs-1):] {
		if j.owes() != nil {
			j.log.Warn("pending output of a forgotten job was never removed")
		}
		ops := []ha.Op{ha.Delete(jobKey + string(j.id)), ha.Delete(splitsKey + string(j.id)), ha.DropCounter(checkpointKey + string(j.id))}
		if j.record.Request != "" {
			ops = append(ops, ha.Delete(requestKey+string(j.record.Request)))
		}
		if err := jm.config.Meta.Apply(ops...); err != nil {
			jm.config.Log.Warn("forget job", "job", j.id, "err", err)
			return
		}
		jm.mu.Lock()
		delete(jm.jobs, j.id)
		jm.mu.Unlock()
	}
}

// allJobs lists every job, the newest first.
func (jm *JobManager) allJobs() []*jobMaster {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	return slices.SortedFunc(maps.Values(jm.jobs), func(a, b *jobMaster) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.id, b.id))
	})
}

func (jm *JobManager) jobOf(id graph.JobID) *jobMaster {
	jm.mu.Lock()
	defer jm.mu.Unlock()
	return jm.jobs[id]
}

// nextRequest is unique among the requests of every JobManager of the cluster.
func (jm *JobManager) nextRequest() wire.RequestID {
	return wire.RequestID(fmt.Sprintf("jm-%d-%d", jm.epoch, jm.requests.Add(1)))
}

// refuseClosed is the answer to users once Close has begun.
func (jm *JobManager) refuseClosed() error {
	if jm.ctx.Err() != nil {
		return api.Errorf(api.KindUnavailable, "the JobManager is stopping")
	}
	return nil
}

// asUser passes on what is meant for a user, and makes everything else the given kind.
func asUser(kind, step string, err error) error {
	var e *api.Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	return api.Errorf(kind, "%s%s", step, err)
}
