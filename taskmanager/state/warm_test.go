package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/taskmanager/state"
)

var visits = state.Spec{Operator: "o", Name: "visits", Kind: state.Words}

// written makes a file of what has changed in a store.
func written(t *testing.T, s state.Store, name string) []byte {
	t.Helper()
	f, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	var file bytes.Buffer
	w := snapshot.NewWriter(&file, f.States())
	w.SetName(name)
	if err := f.Write(w); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// tap is a file that can be closed.
type tap struct {
	io.ReaderAt
	closed bool
}

func (r *tap) ReadAt(p []byte, at int64) (int, error) {
	if r.closed {
		return 0, errors.New("the file is read")
	}
	return r.ReaderAt.ReadAt(p, at)
}

func warmed(t *testing.T, s state.Store) error {
	t.Helper()
	for range 10_000 {
		if more, err := s.Warm(1000, time.Second); !more || err != nil {
			return err
		}
	}
	t.Fatal("warming does not end")
	return nil
}

// What was restored is taken into memory beside the work: the newest value of each key, nothing that was removed, and not
// what was touched meanwhile. Then no file is read any more.
func TestRestoredTablesAreWarmed(t *testing.T) {
	s, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	const n = 20_000
	window, err := s.Table(visits, 1000)
	if err != nil {
		t.Fatal(err)
	}
	names := bytesTable(t, s)
	for i := range n {
		key := fmt.Sprint(i)
		*window.Word(entry(t, window, key)) = 7
		if err := names.SetValue(entry(t, names, key), []byte("first "+key)); err != nil {
			t.Fatal(err)
		}
	}
	first := written(t, s, "file 1")
	if err := s.Drop(visits, 1000); err != nil {
		t.Fatal(err)
	}
	if window, err = s.Table(visits, 1000); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 2 {
		key := fmt.Sprint(i)
		*window.Word(entry(t, window, key)) = 8
		if i%4 == 0 {
			err = names.Delete(entry(t, names, key))
		} else {
			err = names.SetValue(entry(t, names, key), []byte("second "+key))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var taps []*tap
	var files []*snapshot.Reader
	for _, content := range [][]byte{first, written(t, s, "file 2")} {
		p := &tap{ReaderAt: bytes.NewReader(content)}
		r, err := snapshot.Open(p, int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		taps, files = append(taps, p), append(files, r)
	}
	after, err := spilling(t, 64<<20)(state.Config{Groups: 4, To: 4, Restored: files})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if window, err = after.Table(visits, 1000); err != nil {
		t.Fatal(err)
	}
	names = bytesTable(t, after)
	*window.Word(entry(t, window, "2")) = 100 // before it is warmed
	if err := warmed(t, after); err != nil {
		t.Fatal(err)
	}
	for _, p := range taps {
		p.closed = true
	}
	if got := window.Len(); got != n/2 {
		t.Errorf("the window has %d entries (expected %d)", got, n/2)
	}
	for i := range n {
		key, count, name := fmt.Sprint(i), uint64(8), "second "+fmt.Sprint(i)
		switch {
		case i == 2:
			count = 100
		case i%2 == 1:
			count, name = 0, "first "+key
		case i%4 == 0:
			name = ""
		}
		if got := *window.Word(entry(t, window, key)); got != count {
			t.Fatalf("%s has come %d times (expected %d)", key, got, count)
		}
		if got := string(names.Value(entry(t, names, key))); got != name {
			t.Fatalf("%s is called %q (expected %q)", key, got, name)
		}
	}
}

// A freeze of what was warmed is whole, and stays as it was: what the files had given is not overwritten in place.
func TestWarmedStateIsWhole(t *testing.T) {
	s, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	names := bytesTable(t, s)
	for i := range 1000 {
		if err := names.SetValue(entry(t, names, fmt.Sprint(i)), []byte("first")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetOwn("o", "own", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	restored := func(content []byte) state.Store {
		r, err := snapshot.Open(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := spilling(t, 64<<20)(state.Config{Groups: 4, To: 4, Restored: []*snapshot.Reader{r}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s = restored(written(t, s, "file 1"))
	names = bytesTable(t, s)
	freeze := func() state.Frozen {
		tab, err := s.Table(visits, state.Global)
		if err != nil {
			t.Fatal(err)
		}
		*tab.Word(entry(t, tab, "x"))++
		f, err := s.Freeze()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Release)
		return f
	}
	if freeze().Whole() != nil {
		t.Fatal("what was not read yet is part of a whole")
	}
	if err := warmed(t, s); err != nil {
		t.Fatal(err)
	}
	f := freeze().Whole()
	if f == nil {
		t.Fatal("a state that was warmed is not whole")
	}
	for i := range 1000 {
		if err := names.SetValue(entry(t, names, fmt.Sprint(i)), []byte("again")); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	w := snapshot.NewWriter(&file, f.States())
	if err := f.Write(w); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s = restored(file.Bytes())
	names = bytesTable(t, s)
	for i := range 1000 {
		if v := string(names.Value(entry(t, names, fmt.Sprint(i)))); v != "first" {
			t.Fatalf("%d is %q in the whole (expected first)", i, v)
		}
	}
	if own, err := s.Own("o", "own"); err != nil || len(own) != 1 || string(own[0].Value) != "mine" {
		t.Errorf("own is %v, %v", own, err)
	}
}

// A file that is damaged is found out when it is read ahead, and named.
func TestWarmingFindsDamage(t *testing.T) {
	s, err := state.New(state.Config{Groups: 4, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	tab := bytesTable(t, s)
	for i := range 5000 {
		if err := tab.SetValue(entry(t, tab, fmt.Sprint(i)), bytes.Repeat([]byte("v"), 100)); err != nil {
			t.Fatal(err)
		}
	}
	content := written(t, s, "file 1")
	content[len(content)/2] ^= 1
	r, err := snapshot.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	after, err := spilling(t, 64<<20)(state.Config{Groups: 4, To: 4, Restored: []*snapshot.Reader{r}})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	bytesTable(t, after)
	var named *state.FileError
	if err := warmed(t, after); !errors.As(err, &named) || named.File != "file 1" || !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("a damaged file: %v (expected that file 1 is damaged)", err)
	}
}
