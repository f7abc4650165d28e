package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// draftPrefix begins the name of a file that is being written. It is hidden from List, and no object can have it.
const draftPrefix = ".draft-"

// Dir keeps objects as files of a directory. An object is written to a hidden file, synced, linked to its name, which
// fails when the name is taken, and its directory is synced. Directories between the root and objects come with the first
// object and go with the last.
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
	defer func() { // as long as the draft was there, nobody could who has deleted the rest
		if d.prune(dir) {
			_ = d.removeDir(d.root) // as Sweep does, which may have been before
		}
	}()
	f, err := d.draft(dir)
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

// draftTries is how often in a row a directory may be removed by others before there is a draft in it.
const draftTries = 100

// draft begins a file in a directory that it makes if needed. From then on the directory is not empty, so nobody removes it;
// until then somebody may, who has deleted the last object in it.
func (d *Dir) draft(dir string) (durable.File, error) {
	for try := 1; ; try++ {
		err := durable.MakeDir(d.on, dir, 0o777)
		if err == nil {
			var f durable.File
			if f, err = d.on.CreateTemp(dir, draftPrefix); err == nil {
				return f, nil
			}
		}
		if !errors.Is(err, fs.ErrNotExist) || try == draftTries {
			return nil, err
		}
	}
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
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went with its last object: those of others are still to come
		}
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
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, names ...string) error {
	var errs []error
	dirs := map[string]bool{}
	for _, name := range names {
		path, err := d.path(name)
		if err == nil {
			err = d.on.Remove(path)
			dirs[filepath.Dir(path)] = true
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for dir := range dirs {
		d.prune(dir)
	}
	return errors.Join(errs...)
}

// prune removes a directory, and those above it below the root, if nothing is in them, and answers whether it has come to the root.
func (d *Dir) prune(dir string) bool {
	for ; dir != d.root; dir = filepath.Dir(dir) {
		if d.removeDir(dir) != nil {
			return false
		}
	}
	return true
}

// removeDir removes a directory in which nothing is. One that is not empty, or that is only named here, stays.
func (d *Dir) removeDir(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("remove directory %s: %w", path, syscall.ENOTDIR)
	}
	if err == nil {
		err = d.on.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sweep implements Sweeper. It removes directories too in which nothing is left, and the root if it is one and may go: it can be
// where a disk is mounted.
func (d *Dir) Sweep(context.Context) error {
	var errs []error
	var dirs []string // those above others first
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir():
			dirs = append(dirs, path)
		case e.Type().IsRegular() && strings.HasPrefix(e.Name(), draftPrefix):
			if err := d.on.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		err := d.removeDir(dir)
		stays := dir == d.root && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EROFS))
		if err != nil && !stays && !errors.Is(err, fs.ErrExist) { // it is not empty
			errs = append(errs, err)
		}
	}
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
