package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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
			stopped, err := stopCluster(context.WithoutCancel(cmd.Context()), dir)
			if err != nil && len(stopped) == 0 {
				return err
			}
			answered := a.answer(map[string][]string{"stopped": stopped}, func(w io.Writer) {
				if len(stopped) == 0 {
					fmt.Fprintln(w, "no process of the cluster was running")
				}
				for _, name := range stopped {
					fmt.Fprintf(w, "%s stopped\n", name)
				}
			})
			return errors.Join(err, answered)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR`ectory of the cluster")
	return cmd
}

// stopCluster ends the processes of the cluster in dir; a command that starts or stops it is waited for.
func stopCluster(ctx context.Context, dir string) ([]string, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no cluster", dir)
	}
	lock, err := lockCluster(ctx, dir, startLimit+stopLimit)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	all, err := processesOf(dir)
	if err != nil {
		return nil, err
	}
	return stop(ctx, all)
}

// stop ends processes, all at once, and returns the names of those that ran. Their pid files go, and those of processes
// that had ended before; logs stay. A pid file that cannot be believed is an error and stays, and the others are ended.
func stop(ctx context.Context, all []process) ([]string, error) {
	var running, ended []process
	var errs []error
	for _, p := range all {
		pid, found, err := p.find()
		if found == ours {
			err = p.signal(syscall.SIGTERM)
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case found == ours:
			running = append(running, p)
		case found == gone:
			ended = append(ended, p)
		default:
			errs = append(errs, p.notOurs(pid, found))
		}
	}
	for _, p := range awaitGone(ctx, running, stopLimit) {
		if err := p.signal(syscall.SIGKILL); err != nil {
			errs = append(errs, err)
		}
	}
	left := awaitGone(ctx, running, killLimit)
	stopped := []string{}
	for _, p := range running {
		if slices.Contains(left, p) {
			errs = append(errs, fmt.Errorf("%s does not end, not even killed", p.name))
			continue
		}
		stopped, ended = append(stopped, p.name), append(ended, p)
	}
	for _, p := range ended {
		if err := os.Remove(p.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return stopped, errors.Join(errs...)
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
