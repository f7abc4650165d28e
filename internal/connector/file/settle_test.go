package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
	"github.com/wasmill/wasmill/internal/durable"
)

// slowFS has files that become durable when they are let to, with that error, and tells of what it does.
type slowFS struct {
	durable.FS
	let    chan error
	synced chan string
}

type slowFile struct {
	durable.File
	on *slowFS
}

func (s *slowFS) Create(path string, flag int, perm fs.FileMode) (durable.File, error) {
	f, err := s.FS.Create(path, flag, perm)
	return slowFile{f, s}, err
}

func (f slowFile) Sync() error {
	err := <-f.on.let
	f.on.synced <- "file"
	return err
}

func (s *slowFS) SyncDir(dir string) error {
	s.synced <- "directory"
	return s.FS.SyncDir(dir)
}

func TestSinkSettlesWhatItHasPrepared(t *testing.T) {
	on := &slowFS{FS: durable.OS, let: make(chan error), synced: make(chan string, 8)}
	sink, err := NewSinkOn(on, map[string]string{"path": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w, err := sink.Open(t.Context(), connector.SinkTask{Job: "j", Attempt: 1, Value: abi.CodecUTF8})
	if err != nil {
		t.Fatal(err)
	}
	prepare := func(value string) connector.Settle {
		t.Helper()
		if _, err := w.Write(connectortest.Values(t, value), time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, settle, err := w.Prepare(context.Background()) // it waits for no disk
		if err != nil {
			t.Fatal(err)
		}
		return settle
	}
	for _, value := range []string{"a", "b"} {
		settle := prepare(value)
		on.let <- nil
		if err := settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a, b := <-on.synced, <-on.synced; a != "file" || b != "directory" {
			t.Errorf("synced: %s, then %s (expected the file, then the directory that names it)", a, b)
		}
	}
	lost := prepare("c")
	on.let <- syscall.EIO
	if err := lost(t.Context()); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "file sink: sync ") {
		t.Errorf("settled: %v", err)
	}
	if _, err := w.Write(connectortest.Values(t, "d"), time.Time{}); !errors.Is(err, syscall.EIO) {
		t.Errorf("written behind output that is lost: %v", err)
	}
	if _, _, err := w.Prepare(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("prepared behind output that is lost: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// What an attempt has left behind is removed for good, also where it was removed before and a power cut might bring it back.
func TestAbortIsDurable(t *testing.T) {
	on := &slowFS{FS: durable.OS, synced: make(chan string, 8)}
	dir := t.TempDir()
	sink, err := NewSinkOn(on, map[string]string{"path": dir})
	if err != nil {
		t.Fatal(err)
	}
	left, theirs := filepath.Join(dir, pendingName("j", 1, 0, 0)), filepath.Join(dir, pendingName("j", 2, 0, 0))
	for _, path := range []string{left, theirs} {
		if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := sink.Abort(t.Context(), "j", 2); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", left, err)
		}
		if _, err := os.Lstat(theirs); err != nil {
			t.Error(err)
		}
		select {
		case what := <-on.synced:
			if what != "directory" {
				t.Errorf("a %s was synced", what)
			}
		default:
			t.Error("the directory was not synced")
		}
	}
}
