package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the jobs of a cluster",
		Example: `  wasmill list --jobmanager http://127.0.0.1:7070`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			jobs, err := client.ListJobs(cmd.Context())
			if err != nil {
				return err
			}
			return a.answer(api.JobPage{Jobs: jobs}, func(w io.Writer) { jobTable(w, jobs, time.Now()) })
		},
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

// lastCheckpoint is the number of the last completed checkpoint and how long ago it was.
func lastCheckpoint(j *api.Job, now time.Time) string {
	if j.Checkpoint == nil {
		return "-"
	}
	return fmt.Sprintf("#%d, %s ago", j.Checkpoint.ID, age(now.Sub(j.Checkpoint.Started.Add(j.Checkpoint.Duration))))
}

// showsCause has the states in which what a job waits for, or has failed of, stands in the table.
var showsCause = map[api.JobState]bool{
	api.JobCreated: true, api.JobRestarting: true, api.JobFinishing: true, api.JobFailing: true, api.JobFailed: true,
}

// jobTable writes a row for each job, aligned, and below it why it does not run.
func jobTable(w io.Writer, jobs []api.Job, now time.Time) {
	rows := []string{"ID\tNAME\tSTATE\tUP\tSUBTASKS\tRECORDS\tCHECKPOINT"}
	n := shortest(jobs)
	for i := range jobs {
		j := &jobs[i]
		state := string(j.State)
		if j.Restarts > 0 {
			state += fmt.Sprintf(" (%d)", j.Restarts)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d/%d\t%s\t%s", prefix(string(j.ID), n), printable(j.Name), state, age(lifetime(j, now)),
			j.Subtasks.Running+j.Subtasks.Finished, j.Subtasks.Total, count(j.Progress.SourceOut), lastCheckpoint(j, now)))
	}
	var aligned strings.Builder
	table(&aligned, rows...)
	lines := strings.SplitAfter(aligned.String(), "\n")
	fmt.Fprint(w, lines[0])
	for i := range jobs {
		fmt.Fprint(w, lines[1+i])
		j := &jobs[i]
		if j.Failure != nil && showsCause[j.State] {
			fmt.Fprintf(w, "%*scause: %s\n", n+2, "", strings.ReplaceAll(oneParagraph(j.Failure.Message), "\n", fmt.Sprintf("\n%*s", n+2, "")))
		}
	}
}
