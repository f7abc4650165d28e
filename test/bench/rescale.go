package main

import (
	"context"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// redeployments measures the pause of a rescaling: from the command, which takes a checkpoint first, to the first record
// that comes to the sink again, and to the first new output that anybody sees. That comes with a checkpoint, a second later.
func redeployments(w *tabwriter.Writer, dir string) error {
	c, err := startCount(filepath.Join(dir, "rescale"), 1, 2, 1_000_000, 12, time.Second)
	if err != nil {
		return err
	}
	time.Sleep(warmUp)
	var all [3][]time.Duration
	for _, n := range []int{1, 2, 1, 2, 1, 2, 1} {
		pauses, err := c.rescale(n)
		if err != nil {
			return err
		}
		for i, p := range pauses {
			all[i] = append(all[i], p)
		}
	}
	if err := c.stop(); err != nil {
		return err
	}
	fmt.Fprintf(w, "RESCALING of a running count between 1 and 2 subtasks, 1,000,000 keys\tmedian of %d\tlargest\taim\n", len(all[0]))
	for i, what := range []string{"RUNNING", "the first record at the sink", "the first new output that is committed"} {
		aim := ""
		if i > 0 {
			aim = "< 2 s"
		}
		fmt.Fprintf(w, "from the command to %s\t%.0f ms\t%.0f ms\t%s\n", what, ms(median(all[i])), ms(all[i][len(all[i])-1]), aim)
	}
	return nil
}

// rescale gives the job another parallelism, and says when it was RUNNING, had given its sink a record, and had committed.
func (c *runningCount) rescale(n int) (pauses [3]time.Duration, err error) {
	begun := time.Now()
	job, err := c.client.RescaleJob(context.Background(), c.job.ID, &api.Rescale{Parallelism: &n})
	if err != nil {
		return pauses, c.fail(err)
	}
	var fault error
	err = c.until(30*time.Second, "the job commits output again", func() bool {
		if c.job.Attempt <= job.Attempt {
			return false
		}
		written := int64(0)
		if pauses[1] == 0 {
			written, fault = c.counter("records_out", int(c.job.Attempt))
		}
		k := c.job.Checkpoint
		for i, done := range []bool{c.job.State == api.JobRunning, written > 0, k != nil && k.Attempt == c.job.Attempt && k.Committed} {
			if done && pauses[i] == 0 {
				pauses[i] = time.Since(begun)
			}
		}
		return fault != nil || pauses[2] != 0 && pauses[1] != 0
	})
	if err == nil && fault != nil {
		err = c.fail(fault)
	}
	return pauses, err
}
