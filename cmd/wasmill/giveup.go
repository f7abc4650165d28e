package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) giveUpCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "give-up JOB",
		Short: "Leave out output that is gone before it was committed, so that the rest can be",
		Long: `Leave out output that is gone. Pending files of a completed checkpoint, or of a job's end, that somebody has removed or cut
off cannot be committed, and everything behind them waits: put them back, and they are committed; or give them up. They are
lost then: info and REST name them from then on, and the job is not exactly-once any more. What cannot be committed for
another reason (a full disk, a name that is taken) is not touched: it is committed when that is mended. --dry-run only says
what would be left out.`,
		Example: `  wasmill give-up 7f3a9c --dry-run
  wasmill give-up 7f3a9c`,
		Args: exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.giveUp(cmd, graph.JobID(args[0]), &api.GiveUp{DryRun: dryRun})
		},
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be left out")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) giveUp(cmd *cobra.Command, id graph.JobID, ask *api.GiveUp) error {
	client, err := a.client(cmd)
	if err != nil {
		return err
	}
	done, err := client.GiveUp(cmd.Context(), id, ask)
	if err != nil && !ask.DryRun {
		return outcomeIn(err, false, lossSeenIn, id)
	} else if err != nil {
		return err
	}
	return a.answer(done, func(w io.Writer) {
		what := "given up"
		if ask.DryRun {
			what = "would be given up"
		}
		rows := int64(0)
		for _, l := range done.Lost {
			rows += l.Rows
		}
		fmt.Fprintf(w, "%s  %s  %s: %s, %s\n", printable(done.Job.Name), done.Job.ID, what, plural(int64(len(done.Lost)), "file"), plural(rows, "row"))
		for _, l := range done.Lost {
			fmt.Fprintf(w, "  %s\n", printable(lostText(&l)))
		}
		for _, h := range done.Hindered {
			fmt.Fprintf(a.err, "not given up, since it is there: %s\n", oneParagraph(h))
		}
	})
}

// wayOut is what helps where output of a job in this process is gone, which other commands reach at url, if it is not empty.
func wayOut(id graph.JobID, url, kept string) string {
	ask := fmt.Sprintf("`wasmill give-up %s --dry-run --jobmanager ", id)
	switch {
	case url != "":
		return "put it back; or have it left out for good: " + ask + url + "` says what that would be"
	case kept != "":
		return "put it back; or have it left out for good: stop this command, run it with --address HOST:PORT, too, and " + ask + "http://HOST:PORT` says what that would be"
	}
	return "put it back; or stop this command: the rest is committed then, and what is lost is named (with --address other commands reach the job, with --state-dir it outlives this one)"
}

// leaveOut gives up what is gone of the output of a job that ends with this process, so that the rest is committed: nobody can put it
// back later.
func (r *running) leaveOut(ctx context.Context, id graph.JobID) {
	now, err := r.client.GetJob(ctx, id)
	if err != nil || now.Uncommitted == "" && (now.State != api.JobFinishing || now.Failure == nil) {
		return
	}
	done, err := r.client.GiveUp(ctx, id, &api.GiveUp{})
	if err != nil {
		return // nothing is gone: what hinders the rest is told with the job's end
	}
	for _, l := range lostLines(done.Lost) {
		r.note("lost: %s", l)
	}
}

// lostText is a file that was given up, in a line: /out/part-7f3a9c-4-0-0, checkpoint 4: 1,200 rows
func lostText(l *api.LostOutput) string {
	return fmt.Sprintf("%s, checkpoint %d: %s", l.Name, l.Checkpoint, plural(l.Rows, "row"))
}

// lostShown is how many of the files that were given up are shown with a job; --output json has all.
const lostShown = 10

// lostLines are the files that a job has given up.
func lostLines(all []api.LostOutput) (lines []string) {
	for i := range all[:min(len(all), lostShown)] {
		lines = append(lines, printable(lostText(&all[i])))
	}
	if n := len(all) - lostShown; n > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", plural(int64(n), "file")))
	}
	return lines
}
