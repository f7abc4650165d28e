package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// draftPrefix begins the name of a file that is being written. It is hidden from List, and no object can have it.
const draftPrefix = ".draft-"

// Dir keeps objects as files of a directory. An object is written to a hidden file, synced, linked to its name, which
// fails when the name is taken, and its directory is synced.
type Dir struct {
	root string
	on   durable.FS
}

// OpenDir makes the directory if needed.
func OpenDir(path string) (*Dir, error) { return OpenDirOn(durable.OS, path) }

// OpenDirOn is OpenDir on another file system than the operating system's.
func OpenDirOn(on durable.FS, path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if failpoint.Planted(failpoint.SkipFsync) {
		on = unsynced{on}
	}
	if err := durable.MakeDir(on, root, 0o777); err != nil {
		return nil, fmt.Errorf("open object directory: %w", err)
	}
	return &Dir{root: root, on: on}, nil
}

// unsynced leaves out what makes names and files durable: a planted bug.
type unsynced struct{ durable.FS }

func (unsynced) SyncDir(string) error { return nil }

func (d *Dir) path(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := d.put(path, &sized{ctx: ctx, r: r, size: size}, size); err != nil {
		return fmt.Errorf("put %s into %s: %w", name, d.root, err)
	}
	return nil
}

func (d *Dir) put(path string, r io.Reader, size int64) error {
	dir := filepath.Dir(path)
	if err := durable.MakeDir(d.on, dir, 0o777); err != nil {
		return err
	}
	f, err := d.on.CreateTemp(dir, draftPrefix)
	if err != nil {
		return err
	}
	defer d.on.Remove(f.Name())
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, copyBuffer(size)))
	if err == nil && !failpoint.Planted(failpoint.SkipFsync) {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.on.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return ErrExists
		}
		return err
	}
	return d.on.SyncDir(dir)
}

// copyBuffer is how much of an object is copied at a time: it may come from a store where each reading is a request.
func copyBuffer(size int64) int64 {
	const most = 1 << 20
	if size < 0 {
		return most
	}
	return min(size+1, most)
}

type fileObject struct {
	*os.File
	size int64
}

func (o fileObject) Size() int64 { return o.size }

// Open implements Store.
func (d *Dir) Open(_ context.Context, name string) (Object, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("open %s: %w", name, fs.ErrNotExist))
	}
	return fileObject{f, info.Size()}, nil
}

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix string, yield func(Info) bool) error {
	root := d.root
	if prefix != "" {
		var err error
		if root, err = d.path(prefix); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !e.Type().IsRegular() || path == root || strings.HasPrefix(e.Name(), draftPrefix) {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		if !yield(Info{Name: filepath.ToSlash(name), Size: info.Size()}) {
			return fs.SkipAll
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, names ...string) error {
	var errs []error
	for _, name := range names {
		path, err := d.path(name)
		if err == nil {
			err = d.on.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Sweep implements Sweeper.
func (d *Dir) Sweep(context.Context) error {
	var errs []error
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.Type().IsRegular() && strings.HasPrefix(e.Name(), draftPrefix):
			if err := d.on.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// Sub implements Store.
func (d *Dir) Sub(prefix string) Store {
	return &Dir{root: filepath.Join(d.root, filepath.FromSlash(prefix)), on: d.on}
}

// URL implements Store.
func (d *Dir) URL() string { return d.root }

// Close implements Store.
func (d *Dir) Close() error { return nil }
