package clustertest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmill/wasmill/internal/durable"
)

func write(t *testing.T, on durable.FS, path, text string, sync bool) {
	t.Helper()
	f, err := on.Create(path, os.O_EXCL, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPowerCut says what is left: what was synced with its directory for sure, of anything else any part.
func TestPowerCut(t *testing.T) {
	long := strings.Repeat("x", 3*blockBytes)
	left := map[string]int{}
	for seed := range uint64(60) {
		d, dir := newDisk(newTrace(seed), seed), t.TempDir()
		on, other := d.mount("a", &fence{}), d.mount("b", &fence{})
		safe, named, torn, renamed, theirs := filepath.Join(dir, "safe"), filepath.Join(dir, "named"), filepath.Join(dir, "torn"), filepath.Join(dir, "renamed"), filepath.Join(dir, "theirs")
		write(t, on, safe, long, true)
		write(t, on, torn, long, false)
		if err := on.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
		write(t, on, named, long, true)
		write(t, other, theirs, long, false)
		if err := on.Rename(safe, renamed); err != nil {
			t.Fatal(err)
		}
		d.cut("a")
		_, before := os.Stat(safe)
		_, after := os.Stat(renamed)
		if (before == nil) == (after == nil) {
			t.Fatalf("seed %d: a renamed file has %v and %v", seed, before, after)
		}
		if data, err := os.ReadFile(theirs); err != nil || string(data) != long {
			t.Fatalf("seed %d: the other machine's file: %d bytes, %v", seed, len(data), err)
		}
		if before == nil {
			left["rename undone"]++
		}
		if _, err := os.Stat(named); errors.Is(err, fs.ErrNotExist) {
			left["name lost"]++
		}
		switch data, err := os.ReadFile(torn); {
		case err != nil:
			t.Fatalf("seed %d: %v", seed, err)
		case string(data) == long:
			left["whole"]++
		case len(data) == 0:
			left["empty"]++
		case len(data) == len(long):
			left["zeros"]++
		default:
			left["shorter"]++
		}
	}
	for _, what := range []string{"rename undone", "name lost", "whole", "empty", "zeros", "shorter"} {
		if left[what] == 0 {
			t.Errorf("%s: never in 60 seeds (%v)", what, left)
		}
	}
}

// TestSyncFailsOnce says that a file whose sync has failed does not come back, though the next sync succeeds.
func TestSyncFailsOnce(t *testing.T) {
	d, dir := newDisk(newTrace(1), 1), t.TempDir()
	on := d.mount("a", &fence{})
	f, err := on.Create(filepath.Join(dir, "file"), os.O_EXCL, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	d.set(diskSyncFails, "sync", dir)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("first sync: %v (expected %v)", err, syscall.EIO)
	}
	if err := f.Sync(); err != nil {
		t.Fatalf("second sync: %v", err)
	}
	if data, _ := os.ReadFile(f.Name()); string(data) == "text" {
		t.Error("what a failed sync had to write is there")
	}
}

// A directory is removed only when nothing is in it; until that is synced a power cut may bring it back, as one that is empty.
func TestRemovedDirectory(t *testing.T) {
	left := map[bool]int{}
	for seed := range uint64(40) {
		d, root := newDisk(newTrace(seed), seed), t.TempDir()
		on, dir := d.mount("a", &fence{}), filepath.Join(root, "dir")
		if err := durable.MakeDir(on, dir, 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, on, filepath.Join(dir, "file"), "text", true)
		if err := on.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
		if err := on.Remove(dir); !errors.Is(err, fs.ErrExist) {
			t.Fatalf("remove a directory that is not empty: %v", err)
		}
		if err := errors.Join(on.Remove(filepath.Join(dir, "file")), on.Remove(dir)); err != nil {
			t.Fatal(err)
		}
		if seed%2 == 0 {
			if err := on.SyncDir(root); err != nil {
				t.Fatal(err)
			}
		}
		d.cut("a")
		_, err := os.Stat(dir)
		if err == nil && seed%2 == 0 {
			t.Fatalf("seed %d: a directory is back whose removal was synced", seed)
		}
		if seed%2 == 1 {
			left[err == nil]++
		}
	}
	if left[true] == 0 || left[false] == 0 {
		t.Errorf("removals that were not synced: %v (expected some that are lost and some that are not)", left)
	}
}
