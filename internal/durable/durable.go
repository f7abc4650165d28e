// Package durable is how files are changed that must outlive the process or the machine: through an interface of its own,
// so that a test can stand in for a disk that forgets, fails, or fills up. Files are read straight through package os. It
// knows what survives a power cut, and nothing of what files mean.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FS changes files. What was written survives a power cut once Sync of the file has returned nil, and the name that it
// has, once SyncDir of its directory has; before, any part of either may survive. Paths are absolute. Errors are those of
// package os. A file whose Sync has failed must be given up: trying again proves nothing.
type FS interface {
	// Create opens a file to write to it; flag is os.O_EXCL or os.O_TRUNC, for a file that is there already.
	Create(path string, flag int, perm fs.FileMode) (File, error)
	// CreateTemp makes a file whose name begins with prefix and is not taken.
	CreateTemp(dir, prefix string) (File, error)
	Mkdir(path string, perm fs.FileMode) error
	Link(from, to string) error // fails with fs.ErrExist when to is taken
	Rename(from, to string) error
	Remove(path string) error // a directory only if it is empty: fs.ErrExist when it is not
	SyncDir(dir string) error
}

// File is one that is being written.
type File interface {
	io.WriteCloser
	Name() string
	Sync() error
}

// OS is the operating system's file system.
var OS FS = system{}

type system struct{}

func (system) Create(path string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (system) CreateTemp(dir, prefix string) (File, error) {
	f, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (system) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }
func (system) Link(from, to string) error                { return os.Link(from, to) }
func (system) Rename(from, to string) error              { return os.Rename(from, to) }
func (system) Remove(path string) error                  { return os.Remove(path) }

func (system) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// MakeDir makes a directory and those above it, and makes them durable.
func MakeDir(on FS, dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(on, parent, perm); err != nil {
			return err
		}
	}
	if err := on.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return on.SyncDir(parent)
}
