//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/api"
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
			resumed{name: "new output in 2 s, other slots", fullOnly: w == workload.Ledger}.scenario(w),
			resumed{name: "new output in 2 s, restarted", restarted: true, fullOnly: w == workload.WideChain}.scenario(w))
	}
	return append(all,
		resumed{name: "new output in 2 s, much state, other slots", much: true, fullOnly: true}.scenario(much),
		resumed{name: "new output in 2 s, much state, restarted", much: true, restarted: true}.scenario(much))
}

// resumed is how a job gets its slots back, and how much state it has.
type resumed struct {
	name      string
	restarted bool // the only TaskManager is started again
	much      bool // of state
	fullOnly  bool
}

// much has 100 MB of state when all its keys have come.
var much = workload.Sleepy(muchKeys, 1_000)

const muchKeys = 100_000

func (r resumed) scenario(w *workload.Workload) scenario {
	interval := 200 * time.Millisecond // of checkpoints
	s := scenario{row: "1", name: r.name, workload: w, records: 180_000, pace: 50 * time.Millisecond, fullOnly: r.fullOnly}
	if r.restarted {
		s.taskmanagers = 1
	}
	if r.much { // the checkpoints of a second are that of 10,000 records
		interval = time.Second
		s.records, s.pace = 1_500_000, 200*time.Millisecond                                                             // it reads a million a second until it is seen to have enough
		s.env = []string{"WASMILL_CHECKPOINT_INTERVAL=1s", "WASMILL_STATE_BUDGET=256MiB", "WASMILL_RESTART_DELAY=10ms"} // each kill is like the first one
		s.prepare = func(x *run) { x.slow(false) }
	}
	s.fault = func(x *run) {
		if r.much {
			x.fillState()
		}
		x.resumes(r.restarted, interval)
	}
	return s
}

// fillState has the job read about as many lines as there are keys, and is slow from then on; it waits until nearly all keys
// have come.
func (x *run) fillState() {
	x.t.Helper()
	x.until(30*time.Second, "the job has read as many lines as there are keys", func(ctx context.Context) bool {
		j := x.look(ctx)
		return j != nil && j.Progress.InputTotal > 0 && j.Progress.InputRead*int64(x.records) > muchKeys*j.Progress.InputTotal
	})
	x.slow(true)
	for x.keysShown() < muchKeys*95/100 {
		x.completes(1)
	}
	x.effect("(%d MB of state)", x.keysShown()/1_000)
}

// keysShown is how many keys have come out.
func (x *run) keysShown() int {
	x.t.Helper()
	keys := map[string]bool{}
	for _, path := range x.parts("") {
		text, err := os.ReadFile(path)
		if err != nil {
			x.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			key, _, _ := strings.Cut(line, ",")
			keys[key] = true
		}
	}
	return len(keys)
}

// resumes kills a TaskManager, starts it again if there is no other, and waits for output that was committed since: that of a
// checkpoint that a later attempt has taken.
func (x *run) resumes(restarted bool, interval time.Duration) {
	x.t.Helper()
	var each []string
	for range 3 {
		x.keepUp()
		x.assemble()
		x.completes(2)
		x.pass(x.someTime(interval))
		x.up = false
		before := x.attempt()
		p := x.busy()
		begun := time.Now()
		p.kill()
		if restarted {
			p.start()
		}
		x.killed = true
		x.until(30*time.Second, "new output is committed", func(ctx context.Context) bool {
			retained, err := x.client.JobCheckpoints(ctx, x.job)
			return err == nil && slices.ContainsFunc(retained, func(c api.Checkpoint) bool { return c.Attempt > before && x.committed() >= c.ID })
		})
		took := time.Since(begun)
		each = append(each, fmt.Sprintf("%.2f", took.Seconds()))
		if took > resumeLimit {
			x.t.Errorf("new output was committed %s after the SIGKILL (expected < %s)", took.Round(time.Millisecond), resumeLimit)
		}
		x.up = true
	}
	x.note = "new output after " + strings.Join(each, ", ") + " s"
}

// busy is a TaskManager that runs tasks of the job.
func (x *run) busy() (p *process) {
	x.t.Helper()
	first := x.random.IntN(len(x.tms))
	x.until(10*time.Second, "the JobManager tells who runs the tasks", func(ctx context.Context) bool {
		plan, err := x.client.JobPlan(ctx, x.job)
		all, e := x.client.ListTaskManagers(ctx)
		if err != nil || e != nil {
			return false
		}
		for i := range x.tms {
			p = x.tms[(first+i)%len(x.tms)]
			for _, tm := range all {
				if tm.Name == p.name && slices.ContainsFunc(plan.Tasks, func(t api.Task) bool { return t.TaskManager == tm.ID }) {
					return true
				}
			}
		}
		return false
	})
	return p
}

// committed is the newest checkpoint whose output can be seen.
func (x *run) committed() (newest checkpoint.ID) {
	x.t.Helper()
	for _, output := range x.workload.Outputs {
		for _, path := range x.parts(output) {
			newest = max(newest, x.checkpointOf(path))
		}
	}
	return newest
}

// parts are the committed files of an output.
func (x *run) parts(output string) []string {
	x.t.Helper()
	files, err := filepath.Glob(filepath.Join(x.path("job", "output"), output, "part-*"))
	if err != nil {
		x.t.Fatal(err)
	}
	return files
}

// checkpointOf is the checkpoint that has committed a file.
func (x *run) checkpointOf(path string) checkpoint.ID {
	x.t.Helper()
	parts := strings.Split(filepath.Base(path), "-") // part-JOB-CHECKPOINT-SUBTASK-N
	id, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		x.t.Fatal(err)
	}
	return checkpoint.ID(id)
}
