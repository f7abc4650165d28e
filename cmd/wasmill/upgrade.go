package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (a *app) upgradeCommand() *cobra.Command {
	var params []string
	var dropState, dryRun bool
	cmd := &cobra.Command{
		Use:   "upgrade JOB FILE.wasm",
		Short: "Give a job another module, and wait until it runs",
		Long: `Give a job another module: its graph and states are held against those of the job. If the graph is the same, the module
is prepared beside the running tasks and exchanged in them behind the barrier of a checkpoint, without a restart. Otherwise
a checkpoint is taken, and the job is deployed anew from it; operators keep their state by uid. A failure before that is
decided leaves the job with the old module, and so does one of the new module before the next checkpoint. --dry-run only
says which way it goes and what would change, or why it cannot.`,
		Example: `  wasmill upgrade 7f3a9c hot-items-2.wasm --dry-run
  wasmill upgrade 7f3a9c hot-items-2.wasm`,
		Args: exactly("JOB", "FILE.wasm"),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := parseParams(params)
			if err != nil {
				return err
			}
			return a.upgradeJob(cmd, graph.JobID(args[0]), args[1], &api.Upgrade{Params: given, AllowDroppedState: dropState, DryRun: dryRun})
		},
		ValidArgsFunction: a.completeJobs,
	}
	cmd.Flags().StringArrayVar(&params, "param", nil, "`NAME=VALUE` of a parameter, beside and instead of those of the job; repeat it for more")
	cmd.Flags().BoolVar(&dropState, "allow-dropped-state", false, "leave state behind that no operator of the new module takes")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) upgradeJob(cmd *cobra.Command, id graph.JobID, path string, upgrade *api.Upgrade) error {
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	client, err := a.client(cmd)
	if err != nil {
		return err
	}
	uploaded, err := client.UploadModule(cmd.Context(), bytes.NewReader(module), int64(len(module)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	upgrade.Module = uploaded.ID
	begun := time.Now()
	if !upgrade.DryRun {
		first := *upgrade
		first.DryRun = true
		will, err := client.UpgradeJob(cmd.Context(), id, &first)
		if err != nil {
			return err
		}
		sayUpgrade(a.err, will, "is upgraded")
	}
	done, err := client.UpgradeJob(cmd.Context(), id, upgrade)
	if err != nil && !upgrade.DryRun {
		return outcomeIn(err, false, changeSeenIn, id)
	} else if err != nil {
		return err
	}
	if upgrade.DryRun {
		return a.answer(done, func(w io.Writer) { sayUpgrade(w, done, "would be upgraded") })
	}
	if done.Way == api.UpgradeRestart {
		if done.Job, err = redeployed(cmd.Context(), client, done.Job, "upgraded"); err != nil {
			return err
		}
	}
	return a.answer(done, func(w io.Writer) {
		if done.Way == api.UpgradeRestart {
			sayRedeployed(w, done.Job, "upgraded", begun)
			return
		}
		fmt.Fprintf(w, "%s  %s  upgraded in place after %s, with checkpoint %d\n", printable(done.Job.Name), done.Job.ID, seconds(time.Since(begun)), done.Checkpoint)
	})
}

// sayUpgrade says which way an upgrade goes, what it changes, and why it cannot be done in place.
func sayUpgrade(w io.Writer, u *api.Upgraded, would string) {
	what := map[api.UpgradeWay]string{api.UpgradeInPlace: "in place, without a restart", api.UpgradeRestart: "by a restart from a checkpoint"}[u.Way]
	fmt.Fprintf(w, "%s  %s  %s %s:\n", printable(u.Job.Name), u.Job.ID, would, what)
	for _, c := range u.Changes {
		fmt.Fprintf(w, "  %s\n", printable(c))
	}
	for _, b := range u.Because {
		fmt.Fprintf(w, "  not in place: %s\n", printable(b))
	}
}
