package blob_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
)

func TestDir(t *testing.T) {
	ctx := t.Context()
	root := filepath.Join(t.TempDir(), "a/b")
	s, err := blob.Open(ctx, root)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) error {
		return s.Put(ctx, name, strings.NewReader(content), int64(len(content)))
	}
	for name, content := range map[string]string{"x/1": "one", "x/2": "", "y": "three"} {
		if err := put(name, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("x/1", "other"); !errors.Is(err, blob.ErrExists) {
		t.Errorf("put over an object: %v (expected ErrExists)", err)
	}
	if err := s.Put(ctx, "short", strings.NewReader("abc"), 4); err == nil {
		t.Error("an object of another size was put")
	}
	if err := s.Put(ctx, "broken", io.MultiReader(strings.NewReader("abc"), broken{}), -1); err == nil {
		t.Error("an object was put whose reader failed")
	}
	o, err := s.Open(ctx, "x/1")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := make([]byte, 3)
	if _, err := o.ReadAt(p, 0); err != nil || string(p) != "one" || o.Size() != 3 {
		t.Errorf("read %q of %d bytes, %v", p, o.Size(), err)
	}
	for _, name := range []string{"x/3", "short", "broken", "x"} {
		if _, err := s.Open(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: %v (expected ErrNotExist)", name, err)
		}
	}
	if got := list(t, s, ""); !slices.Equal(got, []string{"x/1 3", "x/2 0", "y 5"}) {
		t.Errorf("listed %q", got)
	}
	if got := list(t, s.Sub("x"), ""); !slices.Equal(got, []string{"1 3", "2 0"}) {
		t.Errorf("listed below x %q", got)
	}
	if err := s.Delete(ctx, "x/1", "nothing"); err != nil {
		t.Error(err)
	}
	if got := list(t, s, "x"); !slices.Equal(got, []string{"x/2 0"}) {
		t.Errorf("listed %q after a delete", got)
	}
	for _, name := range []string{"", "../x", "a//b", "/a", "a/..", ".", "a b", "a\x00", ".draft-1"} {
		if err := put(name, "x"); err == nil {
			t.Errorf("put %q was not refused", name)
		}
	}
}

// Of those who put one name at once, one succeeds.
func TestDirPutIfAbsent(t *testing.T) {
	s, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := s.Put(t.Context(), "d/m", strings.NewReader(fmt.Sprint(i)), -1)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, blob.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d have put it (expected 1)", n)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func list(t *testing.T, s blob.Store, prefix string) (names []string) {
	t.Helper()
	if err := s.List(t.Context(), prefix, func(i blob.Info) bool {
		names = append(names, fmt.Sprint(i.Name, " ", i.Size))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}
