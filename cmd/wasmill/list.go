package main

import (
	"fmt"
	"io"
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

// showsCause has the states in which what a job waits for, or has failed of, stands in the table.
var showsCause = map[api.JobState]bool{
	api.JobCreated: true, api.JobRestarting: true, api.JobFinishing: true, api.JobFailing: true, api.JobFailed: true,
}

func jobTable(w io.Writer, jobs []api.Job, now time.Time) {
	rows := []string{"ID\tNAME\tSTATE\tUP\tSUBTASKS\tRECORDS"}
	n := shortest(jobs)
	for i := range jobs {
		j := &jobs[i]
		state := string(j.State)
		if j.Restarts > 0 {
			state += fmt.Sprintf(" (%d)", j.Restarts)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d/%d\t%s", prefix(string(j.ID), n), j.Name, state, age(lifetime(j, now)),
			j.Subtasks.Running+j.Subtasks.Finished, j.Subtasks.Total, count(j.Progress.SourceOut)))
		if j.Failure != nil && showsCause[j.State] {
			rows = append(rows, "\tcause: "+oneParagraph(j.Failure.Message))
		}
	}
	table(w, rows...)
}
