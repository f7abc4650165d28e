package jobmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// findJob finds a job by its id or a unique beginning of it.
func (jm *JobManager) findJob(id graph.JobID) (*jobMaster, error) {
	if j := jm.jobOf(id); j != nil {
		return j, nil
	}
	var found []*jobMaster
	for _, j := range jm.allJobs() {
		if id != "" && strings.HasPrefix(string(j.id), string(id)) {
			found = append(found, j)
		}
	}
	switch len(found) {
	case 0:
		return nil, api.Errorf(api.KindNotFound, "job %q is not known", api.Shorten(string(id)))
	case 1:
		return found[0], nil
	}
	return nil, api.Errorf(api.KindInvalid, "job id %q is not unique (%s, %s%s)", id, found[0].id, found[1].id, more(len(found)))
}

// findModule finds a module by its id or a unique beginning of it.
func (jm *JobManager) findModule(id graph.ModuleID) (*moduleRecord, error) {
	if len(id) == 0 {
		return nil, api.Errorf(api.KindInvalid, "module: empty (expected the id of an uploaded module)")
	}
	if r, err := jm.module(id); err == nil {
		return r, nil
	}
	found := jm.config.Meta.List(moduleKey + string(id))
	switch len(found) {
	case 0:
		return jm.module(id)
	case 1:
		return decodeModule(found[0].Key, found[0].Value)
	}
	name := func(k string) string { return short(graph.ModuleID(strings.TrimPrefix(k, moduleKey))) }
	return nil, api.Errorf(api.KindInvalid, "module id %q is not unique (%s, %s%s)", id, name(found[0].Key), name(found[1].Key), more(len(found)))
}

func more(found int) string {
	if found > 2 {
		return fmt.Sprintf(" and %d more", found-2)
	}
	return ""
}

// GetModule describes a module.
func (jm *JobManager) GetModule(_ context.Context, id graph.ModuleID) (*api.Module, error) {
	r, err := jm.findModule(id)
	if err != nil {
		return nil, err
	}
	return &r.Module, nil
}

// ListModules describes every module, the newest first.
func (jm *JobManager) ListModules(context.Context) ([]api.Module, error) {
	all := []api.Module{}
	for _, e := range jm.config.Meta.List(moduleKey) {
		r, err := decodeModule(e.Key, e.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, r.Module)
	}
	slices.SortStableFunc(all, func(a, b api.Module) int { return b.Uploaded.Compare(a.Uploaded) })
	return all, nil
}

// ListJobs describes every job, the newest first.
func (jm *JobManager) ListJobs(context.Context) ([]api.Job, error) {
	all := []api.Job{}
	for _, j := range jm.allJobs() {
		all = append(all, *j.job())
	}
	return all, nil
}

// GetJob describes a job.
func (jm *JobManager) GetJob(_ context.Context, id graph.JobID) (*api.Job, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	return j.job(), nil
}

// CancelJob ends a job. When it answers, that is stored, and the job will be CANCELED within a second. Cancelling again
// changes nothing.
func (jm *JobManager) CancelJob(ctx context.Context, id graph.JobID) (*api.Job, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	if err := j.tell(ctx, evCancel{}); err != nil && !errors.Is(err, errNotTaken) {
		return nil, err
	}
	job := j.job()
	switch {
	case job.State == api.JobCancelling || job.State == api.JobCanceled:
		return job, nil
	case job.State == api.JobFinishing:
		if job.Failure != nil {
			return nil, api.Errorf(api.KindConflict, "job %s has come to its end: its output is committed again until it succeeds; the last time: %s", job.ID, job.Failure.Message).WithHint("%s", job.Failure.Hint)
		}
		return nil, api.Errorf(api.KindConflict, "job %s has come to its end: its output is being committed", job.ID)
	case job.State.Terminal() || job.State == api.JobFailing:
		return nil, api.Errorf(api.KindConflict, "job %s is %s", job.ID, job.State)
	}
	return nil, jm.refuseClosed()
}

// JobCheckpoints lists the retained checkpoints of a job, the newest first.
func (jm *JobManager) JobCheckpoints(_ context.Context, id graph.JobID) ([]api.Checkpoint, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.record.State == api.JobFinished || j.record.State == api.JobCanceled {
		return nil, nil // they are deleted
	}
	var all []api.Checkpoint
	for i := range j.record.Checkpoints {
		all = append(all, j.record.checkpoint(len(j.record.Checkpoints)-1-i))
	}
	return all, nil
}

// JobPlan answers a job's graph and where its tasks run.
func (jm *JobManager) JobPlan(_ context.Context, id graph.JobID) (*api.Plan, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	return j.plan(), nil
}

// WatchJob sends the job as it is, then after each change, and closes the channel when the job has ended or ctx has.
func (jm *JobManager) WatchJob(ctx context.Context, id graph.JobID) (<-chan api.Job, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	out := make(chan api.Job)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(jm.ctx, cancel)
	started := jm.spawn(func() {
		defer cancel()
		defer stop()
		j.watch(ctx, out)
	})
	if !started {
		cancel()
		return nil, jm.refuseClosed()
	}
	return out, nil
}

// logsTimeout bounds how long one TaskManager may take to answer for its logs.
const logsTimeout = 2 * time.Second

// JobLogs collects what the job's guests have logged after a time, from every TaskManager: at most max lines, the oldest.
// TaskManagers keep their logs; what one that is lost had is lost with it.
func (jm *JobManager) JobLogs(ctx context.Context, id graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []wire.LogLine // guarded by mu
	var wg sync.WaitGroup
	for _, tm := range jm.resources.live() {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, logsTimeout)
			defer cancel()
			lines, err := tm.client.Logs(ctx, j.id, after, max)
			if err != nil {
				j.log.Warn("read logs", "taskmanager", tm.info.Name, "err", err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, lines...)
		})
	}
	wg.Wait()
	slices.SortStableFunc(all, func(a, b wire.LogLine) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.Subtask, b.Subtask))
	})
	return all[:min(len(all), max)], ctx.Err()
}

// ListTaskManagers describes the TaskManagers that are registered, by name.
func (jm *JobManager) ListTaskManagers(context.Context) ([]api.TaskManager, error) {
	return jm.resources.list(), nil
}

// ClusterOverview is the cluster in a few numbers.
func (jm *JobManager) ClusterOverview(context.Context) (*api.Overview, error) {
	o := &api.Overview{Version: jm.config.Version, Epoch: jm.epoch, Jobs: map[api.JobState]int{}}
	o.TaskManagers, o.Slots, o.FreeSlots = jm.resources.count()
	for _, j := range jm.allJobs() {
		j.mu.Lock()
		o.Jobs[j.fsm.state()]++
		j.mu.Unlock()
	}
	return o, nil
}
