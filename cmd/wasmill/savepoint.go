package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) savepointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "savepoint",
		Short: "Make, list, look into and delete savepoints",
		Example: `  wasmill savepoint take 7f3a9c --to /backup/hot-items
  wasmill savepoint show /backup/hot-items
  wasmill run hot-items.wasm --from /backup/hot-items`,
		Args: noSubcommand,
		RunE: showHelp,
	}
	cmd.AddCommand(a.savepointTakeCommand(), a.savepointListCommand(), a.savepointShowCommand(), a.savepointVerifyCommand(), a.savepointDisposeCommand())
	return cmd
}

// place makes a path absolute, since another process will open it. A URL stays as it is.
func place(path string) (string, error) {
	if path == "" || strings.Contains(path, "://") {
		return path, nil
	}
	return filepath.Abs(path)
}

func (a *app) savepointTakeCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:     "take JOB",
		Short:   "Make a savepoint of a job that goes on, and wait until it is complete",
		Example: `  wasmill savepoint take 7f3a9c --to /backup/hot-items`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.takeSavepoint(cmd, args[0], to, api.TakeSavepoint{})
		},
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().StringVar(&to, "to", "", "empty `PATH` or s3:// URL to make it at, as the JobManager sees it; without it, one below savepoint.dir")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) stopCommand() *cobra.Command {
	var to string
	var drain bool
	cmd := &cobra.Command{
		Use:   "stop JOB",
		Short: "End a job with a savepoint that it can be gone on from",
		Long: `End a job with a savepoint. What it has read is in its output and in the savepoint; nothing is lost or repeated when a
job goes on from there (run --from). With --drain event time comes to its end first, so that every window fires: that is for
a job that will not go on. If the savepoint cannot be made, the job goes on.`,
		Example: `  wasmill stop 7f3a9c --to /backup/hot-items`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.takeSavepoint(cmd, args[0], to, api.TakeSavepoint{Stop: true, Drain: drain})
		},
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().StringVar(&to, "to", "", "empty `PATH` or s3:// URL to make it at, as the JobManager sees it; without it, one below savepoint.dir")
	cmd.Flags().BoolVar(&drain, "drain", false, "bring event time to its end first: every window fires")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) takeSavepoint(cmd *cobra.Command, job, to string, take api.TakeSavepoint) error {
	client, err := a.client(cmd)
	if err != nil {
		return err
	}
	if take.Path, err = place(to); err != nil {
		return err
	}
	made, err := client.TakeSavepoint(cmd.Context(), graph.JobID(job), &take)
	if err != nil {
		return outcomeIn(flagged(err, "path", "--to"), false, savepointSeenIn, job)
	}
	if take.Stop {
		if _, err := follow(cmd.Context(), client, made.Job, silent{}); err != nil {
			return outcomeIn(fmt.Errorf("savepoint %s is complete; follow the end of job %s: %w", made.Path, made.Job, err), true, endSeenIn, made.Job)
		}
	}
	return a.answer(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n", made.Path)
		fmt.Fprintf(a.err, "savepoint #%d of job %s: %s\n", made.Checkpoint, made.Job, size(made.Size))
	})
}

// flagged has an error that begins with a field of a request begin with the flag that stands for it.
func flagged(err error, field, flag string) error {
	var e *api.Error
	if !errors.As(err, &e) {
		return err
	}
	rest, is := strings.CutPrefix(e.Detail, field+": ")
	if !is {
		return err
	}
	named := *e
	named.Detail = flag + ": " + rest
	return &named
}

func (a *app) savepointListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list JOB",
		Short:   "List the savepoints that a job has made",
		Example: `  wasmill savepoint list 7f3a9c`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			all, err := client.JobSavepoints(cmd.Context(), graph.JobID(args[0]))
			if err != nil {
				return err
			}
			return a.answer(api.SavepointPage{Savepoints: all}, func(w io.Writer) { savepointTable(w, all, time.Now()) })
		},
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func savepointTable(w io.Writer, all []api.Savepoint, now time.Time) {
	rows := []string{"SAVEPOINT\tMADE\tSIZE\tSTATE\tPATH"}
	for _, s := range all {
		state := "complete"
		switch {
		case !s.Sealed:
			state = "being completed"
		case s.Stopped:
			state = "complete, the job ended with it"
		}
		rows = append(rows, fmt.Sprintf("#%d\t%s\t%s\t%s\t%s", s.Checkpoint, humanize.RelTime(s.Time, now, "ago", "from now"), size(s.Size), state, s.Path))
	}
	table(w, rows...)
}
