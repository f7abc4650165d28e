package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

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
		pace, _, err := c.span(10*time.Second, nil)
		if err != nil {
			return c.fail(err)
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
		log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return 0, 0, c.fail(err)
		}
		defer log.Close()
		restart.Stdout, restart.Stderr = log, log
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
		now, _, err := c.span(500*time.Millisecond, nil)
		if err != nil {
			return 0, 0, c.fail(err)
		}
		if now >= 0.9*pace {
			return first, time.Since(begun), nil
		}
	}
	return first, 0, nil
}
