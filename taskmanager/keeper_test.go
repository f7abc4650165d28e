package taskmanager

import (
	"encoding/binary"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// fullFS has room for the first bytes of a file.
type fullFS struct{ durable.FS }

func (f fullFS) Create(path string, flag int, perm fs.FileMode) (durable.File, error) {
	file, err := f.FS.Create(path, flag, perm)
	return fullFile{file}, err
}

type fullFile struct{ durable.File }

func (f fullFile) Write(p []byte) (int, error) {
	n, _ := f.File.Write(p[:len(p)/2])
	return n, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
}

// A full disk costs the copy that is kept, not the file.
func TestNoCopyIsKeptOnAFullDisk(t *testing.T) {
	dir, store := t.TempDir(), blob.NewMemory()
	k := &keeper{store: store, on: fullFS{durable.OS}, dir: dir, to: 4, log: slog.Default(), name: func(int) string { return "files/1.snap" }}
	states := []snapshot.State{{Operator: "o", Name: "n", Kind: uint8(state.Words)}}
	const entries = 50_000 // more than is buffered
	f, err := k.put(t.Context(), states, func(w *snapshot.Writer) error {
		for i := range uint64(entries) {
			if err := w.Add(&snapshot.Entry{Key: binary.BigEndian.AppendUint64(nil, i), Op: snapshot.Put, Value: make([]byte, 8)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "files", "*")); len(left) > 0 {
		t.Errorf("%s is left of the copy", left)
	}
	r, err := (&origin{store: store, dir: dir, lazily: true}).open(t.Context(), 1, []checkpoint.File{f})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.readers[0].Check(); err != nil || f.Entries != entries || r.readers[0].Entries() != entries {
		t.Errorf("%d entries, %v (expected %d)", f.Entries, err, entries)
	}
}
