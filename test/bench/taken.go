package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
)

// taken is what was seen of the checkpoints of a running count while it was measured.
type taken struct {
	stops     []time.Duration // of the task that stood still longest, a checkpoint
	durations []time.Duration
	written   int64   // bytes that the TaskManagers have written to files, to the store and to their own disk
	changed   float64 // bytes of the keys and counts that have changed from checkpoint to checkpoint
}

// countBytes is the size of a count.
const countBytes = 8

// watch measures a running count as measure does, and its checkpoints beside that.
func (c *runningCount) watch(d time.Duration) (perSecond, perCPU float64, seen *taken, err error) {
	seen = &taken{}
	known := map[checkpoint.ID]bool{}
	if err := c.manifests(known, nil); err != nil { // those that there are do not count
		return 0, 0, nil, c.fail(err)
	}
	before, err := c.written()
	if err != nil {
		return 0, 0, nil, c.fail(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for { // checkpoints are removed when three newer ones are there
			if err := c.manifests(known, seen); err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	perSecond, perCPU, err = c.measure(d)
	close(stop)
	if err = errors.Join(err, <-done); err != nil {
		return 0, 0, nil, err
	}
	after, err := c.written()
	if err != nil {
		return 0, 0, nil, c.fail(err)
	}
	seen.written = after - before
	if n := float64(len(seen.stops)); n > 0 {
		// of K keys that are all as likely, K (1 - e^(-r/K)) are among r records
		keys := float64(c.keys)
		seen.changed = n * keys * (1 - math.Exp(-perSecond*d.Seconds()/n/keys)) * float64(c.size+countBytes)
	}
	return perSecond, perCPU, seen, nil
}

// manifests reads those that are not known yet.
func (c *runningCount) manifests(known map[checkpoint.ID]bool, seen *taken) error {
	paths, err := filepath.Glob(filepath.Join(c.dir, "checkpoints", "*", "checkpoints", "*", "MANIFEST"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		var id checkpoint.ID
		if _, err := fmt.Sscan(filepath.Base(filepath.Dir(path)), &id); err != nil || known[id] {
			continue
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed
		} else if err != nil {
			return err
		}
		var m checkpoint.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		known[id] = true
		if seen == nil {
			continue
		}
		stop, late := int64(0), int64(0)
		for _, t := range m.Tasks {
			stop = max(stop, t.Figures.SyncNs)
			late = max(late, t.Figures.AlignNs+t.Figures.SyncNs+t.Figures.AsyncNs)
		}
		seen.stops = append(seen.stops, time.Duration(stop))
		seen.durations = append(seen.durations, time.Duration(late))
	}
	return nil
}

// written is how many bytes the TaskManagers have written to files. What they send each other is not among it.
func (c *runningCount) written() (sum int64, err error) {
	pids, err := filepath.Glob(filepath.Join(c.dir, "taskmanager-*.pid"))
	if err != nil {
		return 0, err
	}
	for _, p := range pids {
		pid, err := os.ReadFile(p)
		if err != nil {
			return 0, err
		}
		data, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/io")
		if err != nil {
			return 0, err
		}
		var n int64
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "wchar:"); ok {
				if _, err := fmt.Sscan(v, &n); err != nil {
					return 0, fmt.Errorf("/proc/PID/io: %q: %w", line, err)
				}
			}
		}
		sum += n
	}
	return sum, nil
}
