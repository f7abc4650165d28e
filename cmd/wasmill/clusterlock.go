package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile is held in a cluster's directory by the command that starts or stops the cluster, as long as it does. The
// kernel lets go of it when the command ends, however it ends; the file stays.
const lockFile = "lock"

// lockCluster takes the lock of the directory, and waits for it no longer than patience. Closing the file lets go of it.
func lockCluster(ctx context.Context, dir string, patience time.Duration) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the cluster's directory: %w", err)
	}
	switch taken, err := flock(ctx, f, patience); {
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	case !taken:
		return nil, errors.Join(fmt.Errorf("a cluster runs in %s: another command is starting or stopping it", dir), f.Close())
	}
	return f, nil
}

// flock takes the lock of a file, and waits for it no longer than patience: a process that was killed may hold it a moment
// longer than its connections.
func flock(ctx context.Context, f *os.File, patience time.Duration) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return false, err
		case ctx.Err() != nil:
			return false, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
