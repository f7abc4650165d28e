package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// followInterval is how often `logs --follow` asks for more.
const followInterval = 300 * time.Millisecond

func (a *app) logsCommand() *cobra.Command {
	var max int
	var stay bool
	cmd := &cobra.Command{
		Use:     "logs JOB",
		Short:   "Print what the guests of a job have logged",
		Example: `  wasmill logs 7f3a9c --follow`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if max < 1 || max > 10_000 {
				return usagef("--max %d (expected 1 <= n <= 10000)", max)
			}
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			if stay {
				return a.followLogs(cmd, client, graph.JobID(args[0]), max)
			}
			lines, err := client.JobLogs(cmd.Context(), graph.JobID(args[0]), time.Time{}, max)
			if err != nil {
				return err
			}
			return a.answer(api.LogPage{Lines: lines}, func(w io.Writer) { printLogs(w, lines) })
		},
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().IntVar(&max, "max", 1000, "the newest lines to print, at most 10000")
	cmd.Flags().BoolVarP(&stay, "follow", "f", false, "print further lines as they come, until the job has ended")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func printLogs(w io.Writer, lines []wire.LogLine) {
	for _, l := range lines {
		fmt.Fprintf(w, "%s %-5s %s[%d] %s\n", l.Time.Local().Format("2006-01-02 15:04:05.000"), printable(string(l.Level)), printable(l.Operator), l.Subtask, printable(strings.TrimRight(l.Text, "\n")))
	}
}

// followLogs prints lines as they come; with --output json each is an object on a line of its own.
func (a *app) followLogs(cmd *cobra.Command, client *api.Client, id graph.JobID, max int) error {
	ctx := cmd.Context()
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	encoder := json.NewEncoder(a.out)
	for after := (time.Time{}); ; {
		job, err := client.GetJob(ctx, id) // before the lines, so that none that it logged at its end is missed
		if err != nil {
			return err
		}
		lines, err := client.JobLogs(ctx, job.ID, after, max)
		if err != nil {
			return err
		}
		if a.json {
			for _, l := range lines {
				_ = encoder.Encode(l) // what is lost, the writer knows
			}
		} else {
			printLogs(a.out, lines)
		}
		if a.out.failure() != nil {
			return nil // and that is reported
		}
		if len(lines) > 0 {
			after = lines[len(lines)-1].Time
		}
		if job.State.Terminal() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errInterrupted
		}
	}
}
