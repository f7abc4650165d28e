package blob

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What could be made is told without making it.
func TestFits(t *testing.T) {
	dir := t.TempDir()
	file, closed := filepath.Join(dir, "file"), filepath.Join(dir, "closed")
	if err := errors.Join(os.WriteFile(file, nil, 0o666), os.Mkdir(closed, 0o500)); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]error{
		filepath.Join(dir, "a", "b"):             nil,
		"file://" + filepath.Join(dir, "a", "b"): nil,
		"s3://bucket/prefix":                     nil,
		filepath.Join(file, "a"):                 syscall.ENOTDIR,
		filepath.Join(file, "a", "b"):            syscall.ENOTDIR,
		filepath.Join(closed, "a", "b"):          syscall.EACCES,
	} {
		if want == syscall.EACCES && os.Getuid() == 0 {
			want = nil // who may do everything
		}
		if err := Fits(url); !errors.Is(err, want) {
			t.Errorf("%s: %v (expected %v)", url, err, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("there is %v, %v (expected what was there)", left, err)
	}
}
