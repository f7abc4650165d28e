package clustertest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// Sinks take nothing any more, and all that is before them is full, up to the sources. A checkpoint that overtakes what is in
// flight is there all the same: at once, or when it has lost patience; an aligned one never is. A savepoint overtakes nothing,
// whatever the others do.
func TestABlockedSinkHoldsUpWhatDoesNotOvertake(t *testing.T) {
	cache := t.TempDir()
	const limit = 10 * time.Second
	for _, c := range []struct {
		name        string
		barriers    Barriers
		least, most time.Duration // until it is completed; most 0: never
		records     int
		savepoint   bool
	}{
		{"unaligned", Barriers{Unaligned: true}, 0, 500 * time.Millisecond, 4000, false},
		{"out of patience", Barriers{Patience: 2 * time.Second}, 2 * time.Second, 5 * time.Second, 4000, false},
		{"unaligned, the sources have ended", Barriers{Unaligned: true}, 0, 500 * time.Millisecond, 30, false},
		{"out of patience, the sources have ended", Barriers{Patience: 2 * time.Second}, 2 * time.Second, 5 * time.Second, 30, false},
		{"aligned, the sources have ended", Barriers{}, 0, 0, 30, false},
		{"aligned", Barriers{}, 0, 0, 4000, false},
		{"savepoint", Barriers{Unaligned: true}, 0, 0, 4000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guest, err := os.ReadFile("../../test/guests/ledger.wasm")
				if err != nil {
					t.Fatal(err)
				}
				params, _, err := workload.Ledger.Prepare(t.TempDir(), 1, c.records)
				if err != nil {
					t.Fatal(err)
				}
				c.barriers.Slow, c.barriers.Stuck = true, true
				x := Start(t, Config{
					Seed: 1, TaskManagers: 2, Slots: 1, Barriers: c.barriers, Guest: guest, Params: params, Parallelism: 2, Cache: cache,
					Connectors: fileConnectors,
				})
				defer x.Close()
				x.Sleep(2 * time.Second)
				if err := x.Submit(); err != nil {
					t.Fatal(err)
				}
				x.Sleep(15 * time.Second)
				read := x.Job().Progress.SourceOut
				x.Sleep(5 * time.Second)
				if now := x.Job().Progress.SourceOut; now != read || read == 0 {
					t.Fatalf("sources have read %d records, and %d five seconds before: nothing is blocked", now, read)
				}
				if n := x.Job().Subtasks.Finished; (n > 0) != (c.records < 100) {
					t.Fatalf("%d subtasks have finished", n)
				}
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				begun := time.Now()
				var taken *api.Checkpoint
				if c.savepoint {
					_, err = x.jm.jm.TakeSavepoint(ctx, x.job, &api.TakeSavepoint{Path: filepath.Join(x.dir, "savepoint")})
				} else {
					taken, err = x.jm.jm.TakeCheckpoint(ctx, x.job)
				}
				took := time.Since(begun)
				switch {
				case c.most == 0 && err == nil:
					t.Errorf("it is completed after %v, with everything blocked", took)
				case c.most != 0 && err != nil:
					t.Errorf("after %v: %v", took, err)
				case c.most != 0 && (took < c.least || took > c.most || !taken.Unaligned || taken.InFlight == 0):
					t.Errorf("it took %v (expected %v to %v): %+v", took, c.least, c.most, taken)
				}
			})
		})
	}
}
