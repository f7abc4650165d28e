package taskmanager

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// A damaged local copy says nothing about the object: it is removed, and the job restarts. Without one the object is damaged.
func TestDamagedLocalCopyIsDistrusted(t *testing.T) {
	dir := t.TempDir()
	local := filepath.Join(dir, "job", "files", "1.snap")
	if err := os.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(local, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm := New(Config{StateDir: dir, State: StateLimits{Budget: 1}, Files: durable.OS})
	one := &task{log: slog.New(slog.DiscardHandler), attempt: &attempt{tm: tm, key: exchange.Attempt{Job: "job"}}}
	found := wire.Failure{Kind: wire.KindState, File: "files/1.snap"}
	if f := one.distrust(found); f.Kind != wire.KindIO || f.File != "" {
		t.Errorf("a damaged copy is a failure of kind %d, file %q (expected %d)", f.Kind, f.File, wire.KindIO)
	}
	if f := one.distrust(found); f != found {
		t.Errorf("a damaged object is %+v (expected %+v)", f, found)
	}
}

// Of an object that was fetched, what was read may have been damaged on this machine: the object says.
func TestFetchedObjectIsHeldAgainstTheManifest(t *testing.T) {
	store := blob.NewMemory()
	content := []byte("content of a file")
	if err := store.Put(t.Context(), "files/1.snap", bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	tm := New(Config{
		StateDir: t.TempDir(), State: StateLimits{Budget: 1}, Files: durable.OS,
		OpenStore: func(context.Context, string) (blob.Store, error) { return store, nil },
	})
	sum := sha256.Sum256(content)
	file := checkpoint.File{Name: "files/1.snap", Size: int64(len(content)), Checksum: hex.EncodeToString(sum[:])}
	one := &task{
		attempt: &attempt{tm: tm, ctx: t.Context(), key: exchange.Attempt{Job: "job"}, checkpoints: &wire.Checkpoints{}},
		restore: &wire.TaskRestore{Files: []checkpoint.File{file}}, fetches: true,
	}
	found := wire.Failure{Kind: wire.KindState, File: "files/1.snap"}
	if f := one.distrust(found); f.Kind != wire.KindIO || f.File != "" {
		t.Errorf("what was damaged here is a failure of kind %d, file %q (expected %d)", f.Kind, f.File, wire.KindIO)
	}
	one.restore.Files[0].Checksum = "another"
	if f := one.distrust(found); f != found {
		t.Errorf("what was damaged there is %+v (expected %+v)", f, found)
	}
}

// A kept copy that is not what it should be gives way to the object, however it is read.
func TestObjectStandsInForLocalCopy(t *testing.T) {
	write := func(value uint64) ([]byte, snapshot.Info) {
		var content bytes.Buffer
		w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: "n", Kind: uint8(state.Words)}})
		w.SetName("files/1.snap")
		if err := w.Add(&snapshot.Entry{Key: []byte("k"), Op: snapshot.Put, Value: binary.LittleEndian.AppendUint64(nil, value)}); err != nil {
			t.Fatal(err)
		}
		info, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		return content.Bytes(), info
	}
	content, info := write(1)
	another, _ := write(2) // of another job, say: the same name and size, and whole
	root := t.TempDir()
	store := blob.NewMemory()
	if err := store.Put(t.Context(), "files/1.snap", bytes.NewReader(content), info.Size); err != nil {
		t.Fatal(err)
	}
	file := checkpoint.File{Name: "files/1.snap", Size: info.Size, Checksum: info.Checksum, Footer: info.Footer, To: 4}
	for name, damage := range map[string]func(b []byte) []byte{
		"whole":     func(b []byte) []byte { return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"footer":    func(b []byte) []byte { b[len(b)-40] ^= 1; return b },
		"swapped":   func([]byte) []byte { return another },
		"missing":   nil,
	} {
		for _, lazily := range []bool{false, true} {
			dir := filepath.Join(root, name)
			local := filepath.Join(dir, "files", "1.snap")
			if err := os.MkdirAll(filepath.Dir(local), 0o700); err != nil {
				t.Fatal(err)
			}
			if damage != nil {
				if err := os.WriteFile(local, damage(bytes.Clone(content)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r, err := (&origin{log: slog.New(slog.DiscardHandler), store: store, dir: dir, lazily: lazily}).open(t.Context(), 1, []checkpoint.File{file})
			if err != nil {
				t.Fatalf("%s, lazily %v: %v", name, lazily, err)
			}
			if _, kept := r.objects[0].(localFile); kept != (name == "whole") {
				t.Errorf("%s, lazily %v: the copy is taken: %v", name, lazily, kept)
			}
			if err := r.readers[0].Check(); err != nil || len(r.objects) != 1 {
				t.Errorf("%s, lazily %v: %d objects, %v", name, lazily, len(r.objects), err)
			}
			r.close()
		}
	}
}

// A task that reads a file that was folded meanwhile, and collected, is no sign of damage: the attempt begins anew from
// what stands in its place. A directory would let it be read on; S3, and the store in memory, do not.
func TestACollectedFileIsNoDamage(t *testing.T) {
	store := blob.NewMemory()
	var content bytes.Buffer
	w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: "n", Kind: uint8(state.Words)}})
	w.SetName("files/1.snap")
	if err := w.Add(&snapshot.Entry{Key: []byte("k"), Op: snapshot.Put, Value: make([]byte, 8)}); err != nil {
		t.Fatal(err)
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "files/1.snap", &content, info.Size); err != nil {
		t.Fatal(err)
	}
	file := checkpoint.File{Name: "files/1.snap", Size: info.Size, Checksum: info.Checksum, Footer: info.Footer, To: 4}
	r, err := (&origin{log: slog.New(slog.DiscardHandler), store: store, dir: t.TempDir(), lazily: true}).open(t.Context(), 1, []checkpoint.File{file})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := store.Delete(t.Context(), "files/1.snap"); err != nil {
		t.Fatal(err)
	}
	s, err := state.New(state.Config{Groups: 4, To: 4, Restored: r.readers})
	if err == nil {
		s.Close()
		t.Fatal("a file was read that is not there")
	}
	var named *state.FileError
	if !errors.As(err, &named) || named.File != "files/1.snap" {
		t.Errorf("%v (expected that it names the file)", err)
	}
	if f := failureOf(err); f.Kind != wire.KindIO || !f.Kind.Retryable() || f.File != "" {
		t.Errorf("it is a failure of kind %d, file %q (expected %d, which is tried again, and none)", f.Kind, f.File, wire.KindIO)
	}
}
