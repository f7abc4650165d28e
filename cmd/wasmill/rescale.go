package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) rescaleCommand() *cobra.Command {
	var given []string
	cmd := &cobra.Command{
		Use:   "rescale JOB --parallelism N",
		Short: "Give a job, or operators of it, another parallelism, and wait until it runs",
		Long: `Give a job another parallelism: a checkpoint is taken, and the job goes on from it. N is of the operators that set none
themselves, OPERATOR=N of one; repeat it for more. OPERATOR=job takes back what was given to one: it is as the module and the
job have it again. A failure before the next checkpoint takes the job back to what it was; info says what became of it.`,
		Example: `  wasmill rescale 7f3a9c --parallelism 4
  wasmill rescale 7f3a9c --parallelism counts=8
  wasmill rescale 7f3a9c --parallelism counts=job`,
		Args:              exactly("JOB"),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.rescaleJob(cmd, graph.JobID(args[0]), given) },
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().StringArrayVar(&given, "parallelism", nil, "`N`, OPERATOR=N or OPERATOR=job; repeat it for more")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) rescaleJob(cmd *cobra.Command, id graph.JobID, given []string) error {
	rescale, err := parallelismsOf(given)
	if err != nil {
		return err
	}
	client, err := a.client(cmd)
	if err != nil {
		return err
	}
	begun := time.Now()
	was, err := client.GetJob(cmd.Context(), id)
	if err != nil {
		return err
	}
	job, err := client.RescaleJob(cmd.Context(), was.ID, rescale)
	if err != nil {
		return outcomeIn(err, false, changeSeenIn, was.ID)
	}
	if sameChange(newestChange(was), newestChange(job)) { // every operator has the parallelism that it had: no task is touched
		return a.answer(job, func(w io.Writer) {
			fmt.Fprintf(w, "%s  %s  nothing is restarted: parallelism %s\n", printable(job.Name), job.ID, parallelism(job))
		})
	}
	now, err := redeployed(cmd.Context(), client, job, "rescaled")
	if err != nil {
		return err
	}
	return a.answer(now, func(w io.Writer) {
		sayRedeployed(w, now, "rescaled", begun)
		if c := changeIn(now, newestChange(job)); c != nil {
			for _, what := range c.Changes {
				fmt.Fprintf(w, "  %s\n", printable(what))
			}
		}
	})
}

// parallelismsOf reads what is given to the job and to operators, each once.
func parallelismsOf(given []string) (*api.Rescale, error) {
	rescale, seen := &api.Rescale{Operators: map[string]int{}}, map[string]bool{}
	for _, g := range given {
		name, number, named := strings.Cut(g, "=")
		if !named {
			name, number = "", g
		}
		if seen[name] {
			of := "the job"
			if named {
				of = "operator " + strconv.Quote(name)
			}
			return nil, usagef("--parallelism %s: that of %s is given twice", strconv.Quote(g), of)
		}
		seen[name] = true
		if named && number == "job" {
			rescale.Operators[name] = 0
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > graph.MaxParallelism {
			return nil, usagef("--parallelism %s (expected N, OPERATOR=N or OPERATOR=job, 1 <= N <= %d)", strconv.Quote(g), graph.MaxParallelism)
		}
		if !named {
			rescale.Parallelism = &n
			continue
		}
		rescale.Operators[name] = n
	}
	if len(given) == 0 {
		return nil, usagef("--parallelism is missing (expected N, OPERATOR=N or OPERATOR=job)")
	}
	return rescale, nil
}

// rerun ends the following of a job when an attempt behind the given one runs.
type rerun struct {
	attempt graph.Attempt
	done    context.CancelFunc
}

func (r *rerun) show(j *api.Job) {
	if j.State == api.JobRunning && j.Attempt > r.attempt {
		r.done()
	}
}

func (r *rerun) lost(error) {}

// redeployed waits until a job that was given another graph runs again.
func redeployed(ctx context.Context, client *api.Client, job *api.Job, what string) (*api.Job, error) {
	until, cancel := context.WithCancel(ctx)
	defer cancel()
	now, err := follow(until, client, job.ID, &rerun{job.Attempt, cancel})
	if err != nil && (now == nil || until.Err() == nil || ctx.Err() != nil) {
		return nil, outcomeIn(fmt.Errorf("job %s was %s; follow it: %w", job.ID, what, err), true, changeSeenIn, job.ID)
	}
	if c := changeIn(now, newestChange(job)); c != nil && c.Outcome == api.ChangeWentBack {
		return nil, fmt.Errorf("job %s was not %s: it went back to what it was before: %s", job.ID, what, c.Reason)
	}
	if f := now.Failure; f != nil {
		return nil, fmt.Errorf("job %s was not %s: %s", job.ID, what, f.Message)
	}
	if now.State != api.JobRunning && now.State != api.JobFinished {
		return nil, failed(now)
	}
	return now, nil
}

func sayRedeployed(w io.Writer, j *api.Job, what string, begun time.Time) {
	until := ""
	if c := newestChange(j); c != nil && c.Outcome == api.ChangePending {
		until = "; a failure before its next checkpoint takes it back (`wasmill info` says)"
	}
	fmt.Fprintf(w, "%s  %s  %s after %s: %d subtasks%s\n", printable(j.Name), j.ID, what, seconds(time.Since(begun)), j.Subtasks.Total, until)
}

// newestChange is the last change that a look at a job has shown, nil: none.
func newestChange(j *api.Job) *api.Change {
	if len(j.Changes) == 0 {
		return nil
	}
	return &j.Changes[0]
}

// changeIn is what another look at the job shows of a change, nil: it is not there.
func changeIn(j *api.Job, c *api.Change) *api.Change {
	for i := range j.Changes {
		if sameChange(&j.Changes[i], c) {
			return &j.Changes[i]
		}
	}
	return nil
}

// sameChange says whether two looks at a job have shown the same change of it.
func sameChange(a, b *api.Change) bool {
	return a == b || a != nil && b != nil && a.Kind == b.Kind && a.Time.Equal(b.Time)
}
