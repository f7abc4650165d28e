//go:build faults

package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// resumeLimit is how long it may take from the SIGKILL of a TaskManager to new committed output, with less than 100 MB of
// state.
const resumeLimit = 2 * time.Second

// resumptions measure that: with other slots, and on those of the same TaskManager, which is started again at once.
func resumptions() (all []scenario) {
	for _, w := range []*workload.Workload{workload.WideChain, workload.Ledger} {
		all = append(all,
			scenario{row: "1", name: "new output in 2 s, other slots", workload: w, records: 180_000, pace: 50 * time.Millisecond,
				fault: func(x *run) {
					resumes(x, func() *process {
						p := x.tms[x.random.IntN(2)]
						p.kill()
						return nil
					})
				}, fullOnly: w == workload.Ledger},
			scenario{row: "1", name: "new output in 2 s, restarted", workload: w, records: 180_000, pace: 50 * time.Millisecond, taskmanagers: 1,
				fault: func(x *run) {
					resumes(x, func() *process {
						x.tms[0].kill()
						return x.tms[0]
					})
				}, fullOnly: w == workload.WideChain})
	}
	return all
}

// resumes kills, starts again what is said, and waits for output that was committed since.
func resumes(x *run, kill func() (again *process)) {
	x.t.Helper()
	var each []string
	for range 3 {
		x.keepUp()
		x.assemble()
		x.completes(2)
		x.pass(x.someTime(200 * time.Millisecond))
		x.up = false
		before := x.committed() + 1 // a checkpoint that was on its way may have been decided
		begun := time.Now()
		if p := kill(); p != nil {
			p.start()
		}
		x.killed = true
		x.until(30*time.Second, "new output is committed", func(context.Context) bool { return x.committed() > before })
		took := time.Since(begun)
		each = append(each, fmt.Sprintf("%.2f", took.Seconds()))
		if took > resumeLimit {
			x.t.Errorf("new output was committed %s after the SIGKILL (expected < %s)", took.Round(time.Millisecond), resumeLimit)
		}
		x.up = true
	}
	x.note = "new output after " + strings.Join(each, ", ") + " s"
}

// committed is the newest checkpoint whose output can be seen.
func (x *run) committed() (newest checkpoint.ID) {
	x.t.Helper()
	for _, output := range x.workload.Outputs {
		files, err := filepath.Glob(filepath.Join(x.path("job", "output"), output, "part-*"))
		if err != nil {
			x.t.Fatal(err)
		}
		for _, f := range files {
			parts := strings.Split(filepath.Base(f), "-") // part-JOB-CHECKPOINT-SUBTASK-N
			id, err := strconv.ParseUint(parts[2], 10, 64)
			if err != nil {
				x.t.Fatal(err)
			}
			newest = max(newest, checkpoint.ID(id))
		}
	}
	return newest
}
