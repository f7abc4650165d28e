package main

import (
	"context"
	"errors"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

// A JobManager that is restarted is back within seconds, and the job with it: what follows a job asks again at this
// interval, and gives up after this long without an answer.
const (
	reconnectInterval = 200 * time.Millisecond
	reconnectLimit    = 30 * time.Second
)

// cancelLimit bounds how long a command waits for a cancelled job to end.
const cancelLimit = 15 * time.Second

// watcher is told of a job that is followed.
type watcher interface {
	show(j *api.Job) // the job as it is, then after each change
	lost(err error)  // the JobManager does not answer; show comes again when it does
}

// silent is a watcher that only waits for the job's end.
type silent struct{}

func (silent) show(*api.Job) {}
func (silent) lost(error)    {}

// follow stays with the job until it has ended, and returns it as it then is. A lost JobManager is waited for.
func follow(ctx context.Context, client *api.Client, id graph.JobID, w watcher) (*api.Job, error) {
	var last *api.Job
	answered := time.Now()
	for {
		err := client.WatchJob(ctx, id, func(j *api.Job) {
			last, answered = j, time.Now()
			w.show(j)
		})
		switch {
		case err == nil:
			return last, nil
		case ctx.Err() != nil:
			return last, ctx.Err()
		case !passing(err) || time.Since(answered) > reconnectLimit:
			return last, err
		}
		w.lost(err)
		select {
		case <-time.After(reconnectInterval):
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// passing says whether asking again may help.
func passing(err error) bool {
	var unreachable *api.UnreachableError
	var refused *api.Error
	return errors.Is(err, api.ErrWatchBroken) || errors.As(err, &unreachable) ||
		(errors.As(err, &refused) && refused.Kind == api.KindUnavailable)
}

// cancelAndWait stops a job and returns it when it has ended.
func cancelAndWait(ctx context.Context, client *api.Client, id graph.JobID) (*api.Job, error) {
	if _, err := client.CancelJob(ctx, id); err != nil {
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Kind != api.KindConflict {
			return nil, err
		}
	}
	return follow(ctx, client, id, silent{})
}
