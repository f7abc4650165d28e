package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
)

// errDamaged ends a verification that has found something. What it found was printed.
var errDamaged = errors.New("damage was found")

func (a *app) checkpointVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify JOB",
		Short: "Read all that a job's retained checkpoints name, and say what is damaged and what follows",
		Long: `Read every byte that the retained checkpoints of a job name, and hold it against the checksums. Nothing is changed, and the
job goes on. The answer names each damaged file, the checkpoints that need it, and what the job would go on from if it were
restarted now. The exit status is 1 if anything is damaged.`,
		Example: `  wasmill checkpoint verify 7f3a9c`,
		Args:    exactly("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client(cmd)
			if err != nil {
				return err
			}
			v, err := client.VerifyCheckpoints(cmd.Context(), graph.JobID(args[0]))
			if err != nil {
				return err
			}
			if err := a.answer(v, func(w io.Writer) { showVerification(w, v) }); err != nil {
				return err
			}
			for _, c := range v.Checkpoints {
				if len(c.Faults) > 0 {
					return errDamaged
				}
			}
			return nil
		},
		ValidArgsFunction: a.completeJobs,
	}
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

func (a *app) savepointVerifyCommand() *cobra.Command {
	return savepointAt(&cobra.Command{
		Use:     "verify PATH",
		Short:   "Read every byte of a savepoint, and name all that is damaged",
		Example: `  wasmill savepoint verify /backup/hot-items`,
	}, func(ctx context.Context, _ string, store blob.Store) error {
		v, err := savepoint.Verify(ctx, store)
		if err != nil {
			return err
		}
		if err := a.answer(v, func(w io.Writer) {
			showFaults(w, v.Faults)
			if len(v.Faults) == 0 {
				fmt.Fprintf(w, "savepoint #%d of job %s is whole: %s in %s\n", v.Manifest.Checkpoint, v.Manifest.Job, size(v.Size), plural(int64(v.Files), "file"))
			}
		}); err != nil || len(v.Faults) == 0 {
			return err
		}
		return errDamaged
	})
}

func showVerification(w io.Writer, v *api.Verification) {
	for _, c := range v.Checkpoints {
		if len(c.Faults) == 0 {
			fmt.Fprintf(w, "checkpoint #%d is whole\n", c.ID)
			continue
		}
		fmt.Fprintf(w, "checkpoint #%d cannot be restored:\n", c.ID)
		showFaults(w, c.Faults)
	}
	fmt.Fprintf(w, "%s, %s in %s: %s\n", v.Job, size(v.Size), plural(int64(v.Files), "file"), outlook(v.Restart))
}

func showFaults(w io.Writer, faults []checkpoint.Fault) {
	for _, f := range faults {
		fmt.Fprintf(w, "  %s: %s\n", f.File, f.Fault)
	}
}

// outlook says what a restart would do.
func outlook(r api.Restart) string {
	tail := ""
	if r.Repeats {
		tail = ", and some output is seen again"
	}
	switch {
	case r.Fails:
		return "a restart fails, because output was committed since the newest checkpoint that is whole; put the damaged files back from a copy"
	case r.From == 0:
		return "a restart begins at the beginning" + tail
	}
	return "a restart goes on from #" + humanize.Comma(int64(r.From)) + tail
}
