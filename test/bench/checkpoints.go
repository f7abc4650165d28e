package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// spans of a measurement on a running job, and how often it is taken.
const (
	warmUp   = 3 * time.Second
	measured = 8 * time.Second
	rounds   = 3
)

// checkpointing measures what checkpoints cost a running count: records, the time that a task stands still, and bytes.
func checkpointing(w *tabwriter.Writer, dir string) error {
	fmt.Fprintln(w, "RUNNING COUNT, parallelism 2\tK records/s\tK records/CPU-s\tloss\taim\tFlink 1.20.5")
	seen := map[uint64]*taken{}
	sizes := []struct {
		keys       uint64
		aim, flink string
	}{{100_000, "< 3 %", ""}, {1_000_000, "< 10 %", "508 to 352 K/s, 31 %"}}
	for _, c := range sizes {
		var wall, cpu [2][]float64 // without, with
		all := &taken{}
		for round := range rounds {
			for k := range 2 {
				with := (k + round) % 2 // which one is first would count otherwise
				s, p, t, err := countFor(filepath.Join(dir, fmt.Sprintf("%d-%d-%d", c.keys, round, with)), c.keys, time.Duration(with)*time.Second)
				if err != nil {
					return fmt.Errorf("%d keys: %w", c.keys, err)
				}
				wall[with], cpu[with] = append(wall[with], s), append(cpu[with], p)
				all.stops, all.durations = append(all.stops, t.stops...), append(all.durations, t.durations...)
				all.written, all.changed = all.written+int64(with)*t.written, all.changed+t.changed
			}
		}
		seen[c.keys] = all
		for with, what := range []string{"no checkpoints", "a checkpoint each second"} {
			loss, aim, flink := "", "", ""
			if with == 1 {
				loss = fmt.Sprintf("%.1f %%, CPU %.1f %%", 100*(1-middle(wall[1])/middle(wall[0])), 100*(1-middle(cpu[1])/middle(cpu[0])))
				aim, flink = c.aim, c.flink
			}
			fmt.Fprintf(w, "%d keys, %s\t%.0f\t%.0f\t%s\t%s\t%s\n", c.keys, what, middle(wall[with])/1e3, middle(cpu[with])/1e3, loss, aim, flink)
		}
	}
	fmt.Fprintln(w, "\nA CHECKPOINT, of nearly every key\tmedian\tlargest\taim")
	for _, c := range sizes {
		t := seen[c.keys]
		if len(t.stops) < rounds {
			return fmt.Errorf("%d keys: %d checkpoints were seen", c.keys, len(t.stops))
		}
		fmt.Fprintf(w, "%d keys, the task that stands still longest\t%.2f ms\t%.2f ms\t< 5 ms\n", c.keys, ms(median(t.stops)), ms(t.stops[len(t.stops)-1]))
		fmt.Fprintf(w, "%d keys, from the barrier to the acknowledgement\t%.0f ms\t%.0f ms\t\n", c.keys, ms(median(t.durations)), ms(t.durations[len(t.durations)-1]))
		fmt.Fprintf(w, "%d keys, bytes written (local, store, folded) per byte changed\t%.2f\t\t< 4\n", c.keys, float64(t.written)/t.changed)
	}
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func middle(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}

func countFor(dir string, keys uint64, interval time.Duration) (perSecond, perCPU float64, seen *taken, err error) {
	c, err := startCount(dir, 1, 2, keys, 12, interval)
	if err != nil {
		return 0, 0, nil, err
	}
	time.Sleep(warmUp)
	if perSecond, perCPU, seen, err = c.watch(measured); err != nil {
		return 0, 0, nil, err
	}
	if interval > 0 && len(seen.stops) == 0 {
		return 0, 0, nil, c.fail(fmt.Errorf("no checkpoint was completed"))
	}
	return perSecond, perCPU, seen, c.stop()
}

// fullLimit is how long a job is given to come to nine tenths of its pace.
const fullLimit = time.Minute

// recovery measures the time from a SIGKILL of a TaskManager to the first new output that is committed.
func recovery(w *tabwriter.Writer, dir string) error {
	fmt.Fprintln(w, "RECOVERY from SIGKILL of a TaskManager, a checkpoint each second\tfirst new output\tfull pace\taim\tFlink 1.20.5")
	const keys, size = 10_000_000, 92 // entries of 100 bytes
	for _, r := range []struct {
		what, aim    string
		taskmanagers int
	}{{"the same TaskManager again, 1 GB of state", "< 3 s", 1}, {"another one with free slots, 1 GB of state", "< 5 s", 2}} {
		c, err := startCount(filepath.Join(dir, fmt.Sprintf("recovery-%d", r.taskmanagers)), r.taskmanagers, 2, keys, size, time.Second)
		if err != nil {
			return err
		}
		if err := c.until(4*time.Minute, "every key has come", func() bool { return c.job.Progress.SourceOut > 4*keys }); err != nil {
			return err
		}
		pace, _, err := c.measure(10 * time.Second)
		if err != nil {
			return err
		}
		first, full, err := c.recover(pace, r.taskmanagers == 1)
		if err != nil {
			return err
		}
		if err := c.stop(); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
		at := fmt.Sprintf("%.2f s", full.Seconds())
		if full == 0 {
			at = fmt.Sprintf("not within %s", fullLimit)
		}
		fmt.Fprintf(w, "%s\t%.2f s\t%s\t%s\t20 to 22 s, hardly any state\n", r.what, first.Seconds(), at, r.aim)
	}
	return nil
}

// recover kills the TaskManager that the tasks run on, and says when a checkpoint is committed again, and when the job is
// at nine tenths of its pace: 0 for not in time.
func (c *runningCount) recover(pace float64, again bool) (first, full time.Duration, err error) {
	plan, err := c.client.JobPlan(context.Background(), c.job.ID)
	if err != nil {
		return 0, 0, c.fail(err)
	}
	tms, err := c.client.ListTaskManagers(context.Background())
	if err != nil {
		return 0, 0, c.fail(err)
	}
	name := ""
	for _, tm := range tms {
		if tm.ID == plan.Tasks[0].TaskManager {
			name = tm.Name
		}
	}
	begun := time.Now()
	restart, err := c.kill(name)
	if err != nil {
		return 0, 0, c.fail(err)
	}
	if again {
		if err := restart.Start(); err != nil {
			return 0, 0, c.fail(err)
		}
		defer func() { go restart.Wait() }()
		if err := os.WriteFile(filepath.Join(c.dir, name+".pid"), []byte(fmt.Sprint(restart.Process.Pid)), 0o666); err != nil {
			return 0, 0, c.fail(err)
		}
	}
	attempt := c.job.Attempt
	if err := c.until(time.Minute, "output is committed again", func() bool {
		k := c.job.Checkpoint
		return c.job.Attempt > attempt && k != nil && k.Attempt > attempt && k.Committed
	}); err != nil {
		return 0, 0, err
	}
	first = time.Since(begun)
	for time.Since(begun) < fullLimit {
		now, _, err := c.measure(500 * time.Millisecond)
		if err != nil {
			return 0, 0, err
		}
		if now >= 0.9*pace {
			return first, time.Since(begun), nil
		}
	}
	return first, 0, nil
}

// redeployments measures the pause of a rescaling: from the command to RUNNING.
func redeployments(w *tabwriter.Writer, dir string) error {
	fmt.Fprintln(w, "REDEPLOYMENT of a running count, 1,000,000 keys\tpause\taim")
	c, err := startCount(filepath.Join(dir, "rescale"), 1, 2, 1_000_000, 12, time.Second)
	if err != nil {
		return err
	}
	time.Sleep(warmUp)
	var pauses []time.Duration
	for _, n := range []int{1, 2, 1, 2, 1} {
		pause, err := c.rescale(n)
		if err != nil {
			return err
		}
		pauses = append(pauses, pause)
		if err := c.until(20*time.Second, "a checkpoint after it", func() bool { return c.job.Checkpoint != nil && c.job.Checkpoint.Attempt == c.job.Attempt }); err != nil {
			return err
		}
	}
	if err := c.stop(); err != nil {
		return err
	}
	fmt.Fprintf(w, "rescale between 1 and 2 subtasks, from the command to RUNNING\t%.0f ms\t< 2 s\n", median(pauses).Seconds()*1e3)
	return nil
}

func (c *runningCount) rescale(n int) (time.Duration, error) {
	begun := time.Now()
	job, err := c.client.RescaleJob(context.Background(), c.job.ID, &api.Rescale{Parallelism: &n})
	if err != nil {
		return 0, c.fail(err)
	}
	err = c.until(30*time.Second, "the job runs again", func() bool { return c.job.State == api.JobRunning && c.job.Attempt > job.Attempt })
	return time.Since(begun), err
}
