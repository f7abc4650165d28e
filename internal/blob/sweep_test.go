package blob_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
)

// What a killed process was writing is swept away; a writer that still lives makes nothing, and says so.
func TestSweep(t *testing.T) {
	root := t.TempDir()
	s, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "files/whole", bytes.NewReader([]byte("abc")), 3); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	put := make(chan error)
	go func() { put <- s.Put(t.Context(), "files/half", r, -1) }()
	if _, err := w.Write([]byte("half of it")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, root); len(got) != 2 {
		t.Fatalf("%q (expected the object and what is being written)", got)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if got := files(t, root); !slices.Equal(got, []string{"files/whole"}) {
		t.Errorf("%q is left (expected files/whole)", got)
	}
	w.Close()
	if err := <-put; err == nil {
		t.Error("what was swept away was put")
	}
	if err := s.Sub("nothing").(blob.Sweeper).Sweep(t.Context()); err != nil {
		t.Errorf("sweep where nothing is: %v", err)
	}
}

// files are all below a directory, hidden ones too.
func files(t *testing.T, root string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
