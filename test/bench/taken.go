package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

// taken is what was seen of the checkpoints of a running count while it was measured.
type taken struct {
	count     *runningCount
	stops     []time.Duration // of the task that stood still longest, a checkpoint
	durations []time.Duration
	inFlight  []float64 // bytes that were overtaken
	written   int64     // bytes that the TaskManagers have written to files, to the store and to their own disk
	changed   float64   // bytes of the keys and counts that have changed from checkpoint to checkpoint
	others    float64   // what other processes have taken of the machine's processors

	last    int64 // records before the last checkpoint
	machine machineTime
}

// countBytes is the size of a count.
const countBytes = 8

// begin takes a first checkpoint, which does not count: most of the state has not been in one.
func (t *taken) begin() (err error) {
	if err := t.take(); err != nil {
		return err
	}
	*t = taken{count: t.count, last: t.last}
	if t.machine, err = t.count.machineTime(); err != nil {
		return err
	}
	t.written, err = t.count.written()
	return err
}

// take takes a checkpoint, and looks at it.
func (t *taken) take() error {
	c := t.count
	records, err := c.counted()
	if err != nil {
		return err
	}
	k, err := c.client.TakeCheckpoint(context.Background(), c.job.ID)
	if err != nil {
		return err
	}
	// of K keys that are all as likely, K (1 - e^(-r/K)) are among r records
	keys := float64(c.keys)
	t.changed += keys * (1 - math.Exp(-float64(records-t.last)/keys)) * float64(c.size+countBytes)
	t.last = records
	data, err := os.ReadFile(filepath.Join(c.dir, "checkpoints", string(c.job.ID), checkpoint.ManifestName(k.ID)))
	if err != nil {
		return err
	}
	var m checkpoint.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read the manifest of checkpoint %d: %w", k.ID, err)
	}
	stop, late, inFlight := int64(0), int64(0), int64(0)
	for i := range m.Tasks {
		f := &m.Tasks[i].Figures
		stop, late, inFlight = max(stop, f.SyncNs), max(late, f.AlignNs+f.SyncNs+f.AsyncNs), inFlight+f.InFlight
	}
	t.stops, t.durations = append(t.stops, time.Duration(stop)), append(t.durations, time.Duration(late))
	t.inFlight = append(t.inFlight, float64(inFlight))
	return nil
}

// end closes the account.
func (t *taken) end() error {
	now, err := t.count.machineTime()
	if err != nil {
		return err
	}
	t.others = now.othersSince(t.machine)
	written, err := t.count.written()
	t.written = written - t.written
	return err
}

// quartiles are the values below which a quarter, half and three quarters of all are.
func quartiles(v []float64) (lower, median, upper float64) {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/4], s[len(s)/2], s[len(s)*3/4]
}
