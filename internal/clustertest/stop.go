package clustertest

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// stopAndGoOn stops the job with a savepoint while something happens, and has another job go on from it, with another
// parallelism, while something else does. A stop that is given up leaves the job as it is.
func (x *Cluster) stopAndGoOn(whileStopping, whileBeginning func()) {
	x.awaitRunning(15 * time.Second)
	was := x.Job()
	if was == nil {
		return
	}
	path := filepath.Join(x.dir, "savepoints", fmt.Sprint(len(x.before)+1, "-", time.Now().UnixNano()))
	drain := x.config.Timeless && x.random.IntN(2) == 0
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	jm := x.jm.jm
	go func() {
		_, err := jm.TakeSavepoint(ctx, x.job, &api.TakeSavepoint{Path: path, Stop: true, Drain: drain})
		done <- err
	}()
	x.Sleep(x.someTime(time.Second))
	whileStopping()
	err := <-done
	x.trace.Add("stop with %s, drain %v: %v", path, drain, err)
	if !x.hasStopped(path, err == nil) {
		return
	}
	x.trace.Effect("stop")
	n := 1 + x.random.IntN(2*x.config.Slots)
	j, err := x.jm.jm.SubmitJob(context.Background(), &api.Submit{Module: was.Module, Params: was.Params, Parallelism: &n, Directory: x.dir, From: path})
	if err != nil {
		x.broken = fmt.Errorf("go on from %s: %w", path, err)
		return
	}
	x.before, x.job = append(x.before, string(x.job)), j.ID
	x.trace.Add("job %s goes on with parallelism %d", j.ID, n)
	x.Sleep(x.someTime(200 * time.Millisecond))
	whileBeginning()
}

// stopWhen stops the job with a savepoint when its output is complete, which brings no more of it: a stop is no end of input.
func (x *Cluster) stopWhen(complete func() error) error {
	wrong := complete()
	for end := time.Now().Add(healed); wrong != nil; wrong = complete() {
		if j := x.Job(); j != nil && j.State.Terminal() {
			return nil // as it must be, or not: who called sees
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("after %s: %w", healed, wrong)
		}
		x.Sleep(500 * time.Millisecond)
	}
	for n := 1; ; n++ { // a fault that comes meanwhile has it given up
		x.awaitRunning(15 * time.Second)
		path := filepath.Join(x.dir, "savepoints", fmt.Sprint("last-", n))
		err := x.stopTo(path)
		switch {
		case x.hasStopped(path, err == nil):
			return nil
		case x.broken != nil:
			return x.broken
		case n == 10:
			return fmt.Errorf("stop the job, whose output is complete: %w", err)
		}
	}
}

func (x *Cluster) stopTo(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := x.jm.jm.TakeSavepoint(ctx, x.job, &api.TakeSavepoint{Path: path, Stop: true})
	return err
}

// hasStopped waits until it is clear whether the job has ended with a savepoint there. If that was answered, it must have.
func (x *Cluster) hasStopped(path string, answered bool) bool {
	for end := time.Now().Add(healed); time.Now().Before(end); x.Sleep(100 * time.Millisecond) {
		j := x.Job()
		if j == nil || !j.State.Terminal() {
			if answered || j == nil || j.State != api.JobRunning {
				continue
			}
			return false // it was given up, and the job is back
		}
		made, err := x.jm.jm.JobSavepoints(context.Background(), x.job)
		if err != nil {
			x.broken = fmt.Errorf("list savepoints: %w", err)
			return false
		}
		for _, s := range made {
			if s.Path == path && s.Stopped && s.Sealed {
				return true
			}
		}
		if len(made) > 0 && made[0].Path == path && made[0].Stopped {
			continue // it is being sealed
		}
		if answered {
			x.broken = fmt.Errorf("job %s was stopped with %s, and has no such savepoint", x.job, path)
		}
		return false // it came to its end before
	}
	x.broken = fmt.Errorf("job %s was to stop with %s, and is %+v", x.job, path, x.Job())
	return false
}
