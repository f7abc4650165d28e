package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) checkpointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint JOB",
		Short: "Take a checkpoint of a job now, and wait until it is completed",
		Example: `  wasmill checkpoint 7f3a9c
  wasmill checkpoint show 7f3a9c
  wasmill checkpoint verify 7f3a9c`,
		Args: exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			taken, err := client.TakeCheckpoint(cmd.Context(), graph.JobID(args[0]))
			if err != nil {
				return outcomeIn(err, false, checkpointSeenIn, args[0])
			}
			return a.answer(taken, func(w io.Writer) {
				fmt.Fprintf(w, "checkpoint #%d completed in %s: %s%s\n", taken.ID, seconds(taken.Duration), size(taken.Size), inFlight(taken))
			})
		},
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	cmd.AddCommand(a.checkpointShowCommand(), a.checkpointVerifyCommand())
	return cmd
}

func (a *app) checkpointsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "checkpoints JOB",
		Short:   "List the completed checkpoints of a job that are retained",
		Example: `  wasmill checkpoints 7f3a9c`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			all, err := client.JobCheckpoints(cmd.Context(), graph.JobID(args[0]))
			if err != nil {
				return err
			}
			return a.answer(api.CheckpointPage{Checkpoints: all}, func(w io.Writer) { checkpointTable(w, all, time.Now()) })
		},
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func checkpointTable(w io.Writer, all []api.Checkpoint, now time.Time) {
	rows := []string{"CHECKPOINT\tATTEMPT\tCOMPLETED\tDURATION\tSIZE\tIN FLIGHT\tOUTPUT"}
	for _, c := range all {
		output := "committed"
		switch {
		case c.Damaged:
			output = "damaged"
		case !c.Committed:
			output = "being committed"
		}
		flight := "aligned"
		if c.Unaligned {
			flight = size(c.InFlight)
		}
		rows = append(rows, fmt.Sprintf("#%d\t%d\t%s\t%s\t%s\t%s\t%s", c.ID, c.Attempt,
			humanize.RelTime(c.Started.Add(c.Duration), now, "ago", "from now"), seconds(c.Duration), size(c.Size), flight, output))
	}
	table(w, rows...)
}

// inFlight says of an unaligned checkpoint what it has overtaken.
func inFlight(c *api.Checkpoint) string {
	if !c.Unaligned {
		return ""
	}
	return fmt.Sprintf(", unaligned with %s in flight", size(c.InFlight))
}
