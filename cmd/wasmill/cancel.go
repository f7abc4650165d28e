package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) cancelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "cancel JOB",
		Short:             "Stop a job, and wait until it has ended",
		Example:           `  wasmill cancel 7f3a9c`,
		Args:              exactly("JOB"),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.cancelJob(cmd, graph.JobID(args[0])) },
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) cancelJob(cmd *cobra.Command, id graph.JobID) error {
	client, err := a.client(cmd)
	if err != nil {
		return err
	}
	asked, err := client.CancelJob(cmd.Context(), id)
	if err != nil {
		return outcomeIn(err, false, endSeenIn, id)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), cancelLimit)
	defer cancel()
	end, err := follow(ctx, client, asked.ID, silent{})
	if errors.Is(err, context.DeadlineExceeded) {
		return withHint(fmt.Errorf("job %s (%s) has not ended after %s", asked.ID, asked.Name, cancelLimit), "it was told to; look with `wasmill info %s`", asked.ID)
	}
	if err != nil {
		return outcomeIn(err, true, endSeenIn, asked.ID)
	}
	if end.State != api.JobCanceled {
		return failed(end)
	}
	return a.answer(end, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %s  %s after %s\n", end.Name, end.ID, end.State, seconds(lifetime(end, time.Now())))
	})
}
