package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/loopback"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/jobmanager/rest"
)

// serve serves the REST interface on a loopback address, for other commands to reach the job, and answers its URL.
func (e *embedded) serve(ctx context.Context, address string) (url string, err error) {
	l, err := loopback.Listen("--address", address)
	if err != nil {
		return "", err
	}
	s := &served{JobManager: e.jobs, told: make(chan struct{})}
	config := e.rest
	config.JobManager = s
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.ended.Go(func() { s.err = loopback.Serve(s.ctx, l, rest.Handler(config), config.Log) })
	e.parts.add("REST interface", s)
	return "http://" + l.Addr().String(), nil
}

// served is the JobManager of one job as other processes see it. It takes no other job, which would end with this one.
type served struct {
	*jobmanager.JobManager
	ctx   context.Context
	stop  context.CancelFunc
	ended sync.WaitGroup
	err   error // once ended

	asked atomic.Bool // another process has asked for the job's end
	told  chan struct{}
	tell  sync.Once
}

// toldLimit bounds how long the process stays for who has asked for the job's end, and wants to see it.
const toldLimit = 2 * time.Second

// Close ends the interface. Who has asked for the job's end is told of it first.
func (s *served) Close() error {
	if s.asked.Load() {
		limit := time.NewTimer(toldLimit)
		defer limit.Stop()
		select {
		case <-s.told:
		case <-limit.C:
		}
	}
	s.stop()
	s.ended.Wait()
	return s.err
}

// SubmitJob implements rest.Jobs.
func (s *served) SubmitJob(context.Context, *api.Submit) (*api.Job, error) {
	return nil, api.Errorf(api.KindConflict, "this is the process of one job, and takes no other").
		WithHint("run the job without --jobmanager, or on a cluster: wasmill cluster start")
}

// CancelJob implements rest.Jobs.
func (s *served) CancelJob(ctx context.Context, id graph.JobID) (*api.Job, error) {
	s.asked.Store(true)
	return s.JobManager.CancelJob(ctx, id)
}

// TakeSavepoint implements rest.Jobs.
func (s *served) TakeSavepoint(ctx context.Context, id graph.JobID, take *api.TakeSavepoint) (*api.Savepoint, error) {
	if take.Stop {
		s.asked.Store(true)
	}
	return s.JobManager.TakeSavepoint(ctx, id, take)
}

// WatchJob implements rest.Jobs.
func (s *served) WatchJob(ctx context.Context, id graph.JobID) (<-chan api.Job, error) {
	changes, err := s.JobManager.WatchJob(ctx, id)
	if err != nil {
		return nil, err
	}
	told := make(chan api.Job)
	go func() { // until changes is closed, which the end of ctx brings about
		defer close(told)
		for j := range changes {
			select {
			case told <- j:
			case <-ctx.Done():
				continue
			}
			if j.State.Terminal() {
				s.tell.Do(func() { close(s.told) })
			}
		}
	}()
	return told, nil
}
