package taskmanager

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/wire"
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
	r, err := (&origin{log: slog.New(slog.DiscardHandler), store: store, dir: dir, lazily: true}).open(t.Context(), 1, []checkpoint.File{f})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.readers[0].Check(); err != nil || f.Entries != entries || r.readers[0].Entries() != entries {
		t.Errorf("%d entries, %v (expected %d)", f.Entries, err, entries)
	}
}

// partial is what is frozen, never to be written whole.
type partial struct{ state.Frozen }

func (partial) Whole() state.Frozen { return nil }

// What has outlived its TTL leaves the files of a task when they are folded.
func TestFoldingLeavesOutWhatHasEnded(t *testing.T) {
	for _, event := range []bool{false, true} {
		t.Run(fmt.Sprint("event time ", event), func(t *testing.T) { foldingLeavesOutWhatHasEnded(t, event) })
	}
}

func foldingLeavesOutWhatHasEnded(t *testing.T, event bool) {
	s, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := 0
	k := &keeper{
		store: blob.NewMemory(), on: durable.OS, dir: t.TempDir(), to: 4, log: slog.Default(),
		name: func(int) string { names++; return fmt.Sprintf("files/%d.snap", names) },
		ack:  func(context.Context, checkpoint.ID, *checkpoint.Task, *wire.Failure) {},
	}
	for i := range int64(100) {
		now := 100 * i
		if event {
			*s.EventTime("o") = state.Clock{Now: now, At: now}
			now += 1_000_000 // the other clock, by which all have ended
		}
		s.SetTime(now)
		m, err := s.Sorted(state.Spec{Operator: "o", Name: "m", Kind: state.Map, TTL: 1000, Event: event})
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Appendf(nil, "key %d", i)
		if err := m.Put(xxhash.Sum64(key), key, []byte("sub"), []byte("value")); err != nil {
			t.Fatal(err)
		}
		f, err := s.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		before := len(k.files)
		k.keep(t.Context(), capture{checkpoint: checkpoint.ID(i + 1), part: &checkpoint.Task{}, frozen: partial{f}, now: now, watermarks: s.Watermarks()})
		if len(k.files) > before {
			continue
		}
		entries := int64(0)
		for _, file := range k.files {
			entries += file.Entries
		}
		if entries != min(i+1, 10) {
			t.Errorf("%d entries in files that were folded (expected the %d that have not ended)", entries, min(i+1, 10))
		}
		return
	}
	t.Error("nothing was folded: nothing was tested")
}

// Which versions a task's state has is told when its own files stand for all of it, and is the oldest until the last element of
// that is written anew.
func TestTheVersionsOfAStateAreKnownWhenItIsWrittenWhole(t *testing.T) {
	store, names := blob.NewMemory(), 0
	var part *checkpoint.Task
	at := func(version uint16, files []checkpoint.File) (s state.Store, table state.Table, k *keeper) {
		k = &keeper{
			store: store, on: durable.OS, dir: t.TempDir(), to: 4, log: slog.Default(), files: files,
			name: func(int) string { names++; return fmt.Sprintf("files/%d.snap", names) },
			ack:  func(_ context.Context, _ checkpoint.ID, p *checkpoint.Task, _ *wire.Failure) { part = p },
		}
		r, err := (&origin{log: slog.New(slog.DiscardHandler), store: store, dir: k.dir}).open(t.Context(), 1, files)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.close)
		if s, err = state.New(state.Config{Groups: 4, To: 4, Restored: r.readers}); err != nil {
			t.Fatal(err)
		}
		if table, err = s.Table(state.Spec{Operator: "o", Name: "total", Kind: state.Bytes, Version: version}, state.Global); err != nil {
			t.Fatal(err)
		}
		return s, table, k
	}
	id := checkpoint.ID(0)
	set := func(s state.Store, table state.Table, k *keeper, keys ...string) {
		t.Helper()
		for _, key := range keys {
			var e [1]state.Entry
			if err := table.ResolveKeys([][]byte{[]byte(key)}, []uint64{xxhash.Sum64String(key)}, false, e[:]); err != nil {
				t.Fatal(err)
			}
			if err := table.SetValue(e[0], make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		for warming := true; warming; {
			var err error
			if warming, err = s.Warm(1000, 0); err != nil {
				t.Fatal(err)
			}
		}
		f, err := s.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		id++
		k.keep(t.Context(), capture{checkpoint: id, part: &checkpoint.Task{}, frozen: f})
	}
	told := func(what string, version int) { // -1: nothing
		t.Helper()
		got, known := part.Versions["o"]["total"]
		if !known {
			got = -1
		}
		if got != version || (part.Versions == nil) != (version < 0) {
			t.Errorf("%s: %v (expected %d)", what, part.Versions, version)
		}
	}
	s, table, k := at(1, nil)
	set(s, table, k, "a", "b", "c")
	told("all is of one version", 1)
	s.Close()
	s, table, k = at(2, k.files)
	defer s.Close()
	set(s, table, k, "a")
	told("a file is of the attempt before", -1)
	for range 4 { // what has changed comes to be as much as everything
		set(s, table, k, "a", "b")
	}
	told("one element is as it was", 1)
	for range 4 {
		set(s, table, k, "a", "b", "c")
	}
	told("all is written anew", 2)
}
