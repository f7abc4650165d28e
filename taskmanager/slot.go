package taskmanager

import (
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// slot is a share of this process: it holds tasks of one job at a time, a subtask of each of its chains as a rule.
type slot struct {
	job   graph.JobID // of the tasks that hold it, "" when none does
	tasks int         // that have not ended, those being cancelled apart
}

// slots are those of a TaskManager, guarded by its mutex.
type slots []slot

// check says whether a task of the job may have slot i.
func (s slots) check(i int, job graph.JobID) error {
	if i < 0 || i >= len(s) {
		return refuse(wire.KindInternal, "deploy job %s: slot %d (expected 0 <= slot < %d)", job, i, len(s))
	}
	if s[i].tasks > 0 && s[i].job != job {
		return refuse(wire.KindInternal, "deploy job %s: slot %d holds job %s", job, i, s[i].job)
	}
	return nil
}

func (s slots) take(i int, job graph.JobID) {
	s[i].job = job
	s[i].tasks++
}

func (s slots) release(i int) {
	if s[i].tasks--; s[i].tasks == 0 {
		s[i].job = ""
	}
}
