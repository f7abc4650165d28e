package blob_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
)

// Directories go with the last object in them; the root stays until it is swept, and whoever puts into it makes it anew.
func TestEmptyDirectories(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	s := opened(t, root)
	put := func(name string) {
		t.Helper()
		if err := s.Put(t.Context(), name, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want ...string) {
		t.Helper()
		if got := directories(t, root); !slices.Equal(got, want) {
			t.Errorf("%q (expected %q)", got, want)
		}
	}
	for _, name := range []string{"a/1/M", "a/2/M", "a/2/N", "b/M"} {
		put(name)
	}
	if err := s.Delete(t.Context(), "a/1/M", "a/2/N", "c/d/M"); err != nil {
		t.Fatal(err)
	}
	expect(".", "a", "a/2", "b")
	if err := s.Delete(t.Context(), "a/2/M", "b/M"); err != nil {
		t.Fatal(err)
	}
	expect(".")
	put("a/1/M")
	if err := os.MkdirAll(filepath.Join(root, "a/3/4"), 0o777); err != nil { // of a writer that was killed
		t.Fatal(err)
	}
	sweep := s.(blob.Sweeper).Sweep
	if err := sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(".", "a", "a/1")
	if err := s.Delete(t.Context(), "a/1/M"); err != nil {
		t.Fatal(err)
	}
	if err := sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("the root is left, and empty")
	}
	put("a/1/M")
	expect(".", "a", "a/1")
}

// Who puts an object and does not succeed, while others delete the rest, leaves no directory.
func TestPutsThatFailLeaveNoDirectory(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	s := opened(t, root)
	if err := s.Put(t.Context(), "a/b/M", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	put := make(chan error)
	go func() { put <- s.Put(t.Context(), "a/b/N", r, -1) }()
	if _, err := w.Write([]byte("a part of it")); err != nil { // so it has begun
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a/b/M"); err != nil {
		t.Fatal(err)
	}
	if got := directories(t, root); !slices.Equal(got, []string{".", "a", "a/b"}) {
		t.Errorf("%q while an object is put", got)
	}
	_ = w.CloseWithError(errors.New("no more comes"))
	if err := <-put; err == nil {
		t.Error("a part of an object was put")
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q are left (%v)", directories(t, root), err)
	}
}

// directories are all from a directory on.
func directories(t *testing.T, root string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Who puts an object succeeds while others delete the last object of its directory, and of those above; who lists misses
// nothing of what stays.
func TestPutWhileDirectoriesGo(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	s := opened(t, root)
	const writers, objects = 8, 200
	if err := s.Put(t.Context(), "z/stays", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var all, lists sync.WaitGroup
	lists.Go(func() {
		for ended := false; !ended; {
			select {
			case <-stop:
				ended = true
			default:
			}
			found := false
			if err := s.List(t.Context(), "", func(i blob.Info) bool { found = found || i.Name == "z/stays"; return true }); err != nil || !found {
				t.Errorf("what stays is listed: %t, %v", found, err)
				return
			}
		}
	})
	for w := range writers {
		all.Go(func() {
			for i := range objects {
				name := fmt.Sprintf("a/b/c/%d-%d", w, i)
				if err := s.Put(t.Context(), name, strings.NewReader("x"), 1); err != nil {
					t.Errorf("%v", err)
					return
				}
				if o, err := s.Open(t.Context(), name); err != nil {
					t.Errorf("what was put is not there: %v", err)
				} else {
					o.Close()
				}
				if err := s.Delete(t.Context(), name); err != nil {
					t.Errorf("%v", err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	lists.Wait()
	if got := directories(t, root); !slices.Equal(got, []string{".", "z"}) {
		t.Errorf("%q are left", got)
	}
}
