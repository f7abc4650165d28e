package taskmanager

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/wasmill/wasmill/internal/graph"
)

// What tasks keep in StateDir lies below the name of their job. It outlives them, and this process: the job's next tasks
// here read it instead of the store. The JobManager says when there will be none.

// kept are the jobs of which there are files here and no tasks.
func (tm *TaskManager) kept() (jobs []graph.JobID) {
	entries, _ := os.ReadDir(tm.config.StateDir) // nothing is kept when there is none
	for _, e := range entries {
		if id := graph.JobID(e.Name()); e.IsDir() && isJobID(id) && !tm.runs(id) {
			jobs = append(jobs, id)
		}
	}
	return jobs
}

// isJobID says whether a name is that of a job: what else may lie in StateDir is not ours.
func isJobID(id graph.JobID) bool {
	b, err := hex.DecodeString(string(id))
	return err == nil && len(b) == 6
}

// runs says whether anything of a job's tasks is left.
func (tm *TaskManager) runs(id graph.JobID) bool {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	for a := range tm.live {
		if a.key.Job == id {
			return true
		}
	}
	return false
}

// removal removes what is kept of jobs that are over, beside the heartbeats: a disk may be slow.
type removal struct {
	tm   *TaskManager
	busy chan struct{} // of capacity 1
	wg   sync.WaitGroup
}

func (tm *TaskManager) newRemoval() *removal { return &removal{tm: tm, busy: make(chan struct{}, 1)} }

// begin does not wait. What is not removed is named by a later heartbeat again.
func (r *removal) begin(ctx context.Context, over []graph.JobID) {
	if len(over) == 0 {
		return
	}
	select {
	case r.busy <- struct{}{}:
	default:
		return
	}
	r.wg.Go(func() {
		defer func() { <-r.busy }()
		for _, id := range over {
			if !isJobID(id) || r.tm.runs(id) {
				continue
			}
			if err := r.tm.removeKept(ctx, id); err != nil && ctx.Err() == nil {
				r.tm.config.Log.Warn("remove what was kept of a job that is over", "job", id, "error", err)
			}
		}
	})
}

// RemoveKept removes what is kept of jobs that are over. It is for a process whose end is that of its jobs: nothing runs here
// any more, and no heartbeat tells.
func (tm *TaskManager) RemoveKept(ctx context.Context, over func(graph.JobID) bool) (err error) {
	for _, id := range tm.kept() {
		if over(id) {
			err = errors.Join(err, tm.removeKept(ctx, id))
		}
	}
	return err
}

// removeKept removes the directory of a job.
func (tm *TaskManager) removeKept(ctx context.Context, id graph.JobID) error {
	var paths []string // directories before what is in them
	err := filepath.WalkDir(filepath.Join(tm.config.StateDir, string(id)), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			paths = append(paths, path)
		}
		return errors.Join(err, ctx.Err())
	})
	for _, path := range slices.Backward(paths) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = tm.config.Files.Remove(path)
		}
	}
	return err
}
