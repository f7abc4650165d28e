package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// A process that was told to end has this long before it is killed, and a killed one this long to be gone.
const (
	stopLimit = 10 * time.Second
	killLimit = 5 * time.Second
)

func (a *app) clusterStopCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "stop --dir DIR",
		Short:   "End the processes that 'cluster start' started",
		Example: `  wasmill cluster stop --dir cluster`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := clusterDir(dir)
			if err != nil {
				return err
			}
			all, err := processesOf(dir)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s: there is no cluster", dir)
			}
			if err != nil {
				return err
			}
			stopped, err := stop(context.WithoutCancel(cmd.Context()), all)
			if err != nil {
				return err
			}
			return a.answer(map[string][]string{"stopped": stopped}, func(w io.Writer) {
				if len(stopped) == 0 {
					fmt.Fprintln(w, "no process of the cluster was running")
				}
				for _, name := range stopped {
					fmt.Fprintf(w, "%s stopped\n", name)
				}
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR`ectory of the cluster")
	return cmd
}

// stop ends processes, all at once, and returns the names of those that ran. Their pid files go; logs stay.
func stop(ctx context.Context, all []process) ([]string, error) {
	var ran []process
	stopped := []string{}
	for _, p := range all {
		if !p.runs() {
			continue
		}
		ran = append(ran, p)
		stopped = append(stopped, p.name)
		if err := p.signal(syscall.SIGTERM); err != nil {
			return nil, err
		}
	}
	for _, p := range awaitGone(ctx, ran, stopLimit) {
		if err := p.signal(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	if left := awaitGone(ctx, ran, killLimit); len(left) > 0 {
		return nil, fmt.Errorf("%s does not end, not even killed", left[0].name)
	}
	for _, p := range all {
		if err := os.Remove(p.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return stopped, nil
}

// awaitGone waits until the processes have ended, and returns those that have not within the limit.
func awaitGone(ctx context.Context, all []process, limit time.Duration) []process {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var left []process
		for _, p := range all {
			if p.runs() {
				left = append(left, p)
			}
		}
		if len(left) == 0 || ctx.Err() != nil {
			return left
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
