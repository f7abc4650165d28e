package clustertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// Where event time ends, its timers fire, and nothing waits for processing time. The timers of it that are pending then are
// dropped with a job whose input has ended; with one that is drained they are in the savepoint, and fire in the job that goes
// on from it, once, at their time or at once if that has passed.
func TestTimersOfProcessingTimeWhenEventTimeEnds(t *testing.T) {
	cache := t.TempDir()
	const delay = 5 * time.Minute
	var events, alarms, lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("k%d,%d", i, delay.Milliseconds()))
		events, alarms = append(events, fmt.Sprintf("k%d,event", i)), append(alarms, fmt.Sprintf("k%d,alarm", i))
	}
	job := &workload.Workload{Make: func(uint64, int) workload.Input { return workload.Input{"input": {lines[:20], lines[20:]}} }}
	for _, c := range []struct {
		name  string
		ends  bool          // the input does
		later time.Duration // until a job goes on
	}{{"the input ends", true, 0}, {"drained", false, time.Second}, {"drained, and gone on with when they have passed", false, 2 * delay}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guest, err := os.ReadFile("../../test/guests/alarms.wasm")
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				params, _, err := job.Prepare(dir, 1, 0)
				if err != nil {
					t.Fatal(err)
				}
				connectors := fileConnectors
				if !c.ends {
					connectors = withoutEnd(connectors)
				}
				x := Start(t, Config{
					Seed: 1, TaskManagers: 2, Slots: 2, Checkpoint: time.Second, Guest: guest, Params: params, Parallelism: 2, Cache: cache, Connectors: connectors,
				})
				defer x.Close()
				x.Sleep(2 * time.Second)
				if err := x.Submit(); err != nil {
					t.Fatal(err)
				}
				committed := func(want ...string) {
					t.Helper()
					files, err := workload.Read(filepath.Join(dir, "output"), false, x.jobs()...)
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for _, f := range files {
						got = append(got, f.Lines...)
					}
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						t.Fatalf("%q (expected %q)", got, want)
					}
				}
				if c.ends {
					if j, err := x.Await(delay / 2); err != nil || j.State != api.JobFinished {
						t.Fatalf("job %+v, %v", j, err)
					}
					committed(events...)
					return
				}
				x.Sleep(10 * time.Second) // all is read
				path := filepath.Join(dir, "saved")
				if _, err := x.jm.jm.TakeSavepoint(context.Background(), x.job, &api.TakeSavepoint{Path: path, Stop: true, Drain: true}); err != nil || !x.hasStopped(path, true) {
					t.Fatalf("drain: %v, %v", err, x.broken)
				}
				committed(events...)
				x.Sleep(c.later)
				n, was := 3, x.Job()
				j, err := x.jm.jm.SubmitJob(context.Background(), &api.Submit{Module: was.Module, Params: was.Params, Parallelism: &n, Directory: x.dir, From: path})
				if err != nil {
					t.Fatal(err)
				}
				x.before, x.job = append(x.before, string(x.job)), j.ID
				x.Sleep(10 * time.Second)
				if c.later < delay {
					committed(events...)
					x.Sleep(delay)
				}
				committed(slices.Concat(events, alarms)...)
			})
		})
	}
}
