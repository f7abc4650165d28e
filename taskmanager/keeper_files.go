package taskmanager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// How the keeper makes files: each on this machine first, and from there in the store.

func (k *keeper) put(ctx context.Context, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	k.number++
	return k.putAs(ctx, k.name(k.number), states, write)
}

// putAs makes a file of that name, here and in the store. On a machine whose disk is full it is in the store alone: what is
// kept here only saves time.
func (k *keeper) putAs(ctx context.Context, name string, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	path := filepath.Join(k.dir, filepath.FromSlash(name))
	info, err := writeLocal(k.on, path, name, states, write)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		k.log.Warn("no copy of a snapshot file is kept", "file", name, "error", err)
		return k.putStraight(ctx, name, states, write)
	}
	if err != nil {
		return checkpoint.File{}, err
	}
	failpoint.Hit(failpoint.AsyncUpload)
	local, err := os.Open(path)
	if err != nil {
		return checkpoint.File{}, err
	}
	defer local.Close()
	if err := k.store.Put(ctx, name, local, info.Size); err != nil {
		return checkpoint.File{}, errors.Join(err, k.on.Remove(path))
	}
	return k.file(name, states, info), nil
}

// putStraight makes a file in the store while it is written.
func (k *keeper) putStraight(ctx context.Context, name string, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	r, w := io.Pipe()
	var info snapshot.Info
	var writing sync.WaitGroup
	writing.Go(func() {
		var err error
		info, err = writeSnapshot(w, name, states, write)
		w.CloseWithError(err) // nil: it is whole
	})
	err := k.store.Put(ctx, name, r, -1)
	r.Close() // nobody reads on
	writing.Wait()
	if err != nil {
		return checkpoint.File{}, err
	}
	return k.file(name, states, info), nil
}

func (k *keeper) file(name string, states []snapshot.State, info snapshot.Info) checkpoint.File {
	k.note(name, states, info)
	return checkpoint.File{Name: name, Size: info.Size, Checksum: info.Checksum, Footer: info.Footer, From: k.from, To: k.to, Entries: info.Entries}
}

// writeLocal writes a snapshot file that only this process and those after it on this machine read.
func writeLocal(on durable.FS, path, name string, states []snapshot.State, write func(*snapshot.Writer) error) (info snapshot.Info, err error) {
	if err := durable.MakeDir(on, filepath.Dir(path), 0o700); err != nil {
		return info, err
	}
	f, err := on.Create(path, os.O_TRUNC, 0o600)
	if err != nil {
		return info, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = on.Remove(path)
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("write %s: the disk is full: %w", path, err)
		}
	}()
	if info, err = writeSnapshot(f, name, states, write); err != nil {
		return info, fmt.Errorf("write %s: %w", path, err)
	}
	return info, nil
}

func writeSnapshot(to io.Writer, name string, states []snapshot.State, write func(*snapshot.Writer) error) (info snapshot.Info, err error) {
	out := bufio.NewWriterSize(to, 256<<10)
	w := snapshot.NewWriter(out, states)
	w.SetName(name)
	if err := write(w); err != nil {
		return info, err
	}
	if info, err = w.Close(); err != nil {
		return info, err
	}
	return info, out.Flush()
}
