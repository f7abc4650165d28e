// Package blobtest is what every object store must do, as tests: those of package blob's interface, run against each
// implementation.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/wasmill/wasmill/internal/blob"
)

// Run runs the suite. Each call of open gives an empty store.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"PutAndRead", putAndRead},
		{"PutIfAbsent", putIfAbsent},
		{"FailingReadersLeaveNothing", failingReaders},
		{"Names", names},
		{"List", list},
		{"ReadAtAnywhere", readAtAnywhere},
		{"Sub", sub},
		{"Delete", remove},
		{"EndedContext", endedContext},
		{"LargeObjects", largeObjects},
		{"ConcurrentUse", concurrentUse},
		{"URL", url},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			c.run(t, s)
		})
	}
}

func put(t *testing.T, s blob.Store, name, content string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s blob.Store, name string) string {
	t.Helper()
	data, err := blob.Read(t.Context(), s, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// listed is the names and sizes below a prefix, in order.
func listed(t *testing.T, s blob.Store, prefix string) (all []string) {
	t.Helper()
	if err := s.List(t.Context(), prefix, func(i blob.Info) bool {
		all = append(all, fmt.Sprint(i.Name, " ", i.Size))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func expect(t *testing.T, s blob.Store, prefix string, want ...string) {
	t.Helper()
	if got := listed(t, s, prefix); !slices.Equal(got, want) {
		t.Errorf("below %q there are %q (expected %q)", prefix, got, want)
	}
}

func putAndRead(t *testing.T, s blob.Store) {
	for name, content := range map[string]string{"x/1": "one", "x/2": "", "y": "three", "a-B_c.9/Z": "names"} {
		put(t, s, name, content)
		if got := read(t, s, name); got != content {
			t.Errorf("%s is %q (expected %q)", name, got, content)
		}
	}
	if err := s.Put(t.Context(), "unsized", iotest.OneByteReader(strings.NewReader("abc")), -1); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "unsized"); got != "abc" {
		t.Errorf("an object of a size that was not said is %q", got)
	}
	for _, name := range []string{"x/3", "x", "z/1"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: %v (expected ErrNotExist)", name, err)
		}
	}
}

// Of those who put one name at once, one succeeds, and its object stays.
func putIfAbsent(t *testing.T, s blob.Store) {
	put(t, s, "x/1", "one")
	if err := s.Put(t.Context(), "x/1", strings.NewReader("other"), 5); !errors.Is(err, blob.ErrExists) {
		t.Errorf("put over an object: %v (expected ErrExists)", err)
	}
	if err := s.Put(t.Context(), "x/1", strings.NewReader("one"), 3); !errors.Is(err, blob.ErrExists) {
		t.Errorf("put over an object of the same content: %v (expected ErrExists)", err)
	}
	if got := read(t, s, "x/1"); got != "one" {
		t.Errorf("the object that was there is %q", got)
	}
	const rivals = 20
	var won atomic.Int32
	winner := ""
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			content := fmt.Sprint("of ", i)
			err := s.Put(t.Context(), "d/m", strings.NewReader(content), int64(len(content)))
			switch {
			case err == nil && won.Add(1) == 1:
				winner = content
			case err != nil && !errors.Is(err, blob.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Fatalf("%d have put it (expected 1)", n)
	}
	if got := read(t, s, "d/m"); got != winner {
		t.Errorf("it is %q (expected the winner's %q)", got, winner)
	}
}

func failingReaders(t *testing.T, s blob.Store) {
	broken := func(n int64) io.Reader {
		return io.MultiReader(io.LimitReader(zeros{}, n), iotest.ErrReader(errors.New("broken")))
	}
	for name, c := range map[string]struct {
		r    io.Reader
		size int64
	}{
		"short":         {strings.NewReader("abc"), 4},
		"long":          {strings.NewReader("abc"), 2},
		"empty":         {strings.NewReader(""), 1},
		"not-empty":     {strings.NewReader("a"), 0},
		"broken":        {broken(3), -1},
		"broken-sized":  {broken(3), 5},
		"large-short":   {io.LimitReader(zeros{}, large-1), large},
		"large-long":    {io.LimitReader(zeros{}, large+1), large},
		"large-broken":  {broken(large), -1},
		"large-broken2": {broken(large - 5), large},
	} {
		if err := s.Put(t.Context(), "d/"+name, c.r, c.size); err == nil || errors.Is(err, blob.ErrExists) {
			t.Errorf("%s: put: %v (expected what is wrong with it)", name, err)
		}
		if _, err := s.Open(t.Context(), "d/"+name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: open: %v (expected ErrNotExist)", name, err)
		}
	}
	expect(t, s, "")
	put(t, s, "d/short", "now") // the name is free
}

func names(t *testing.T, s blob.Store) {
	for _, name := range []string{"", "../x", "a//b", "/a", "a/", "a/..", ".", "a b", "a\x00", ".draft-1", "a/.draft-1", "ä"} {
		if err := s.Put(t.Context(), name, strings.NewReader("x"), 1); err == nil {
			t.Errorf("put %q was not refused", name)
		}
		if _, err := s.Open(t.Context(), name); err == nil {
			t.Errorf("open %q was not refused", name)
		}
	}
	if err := s.List(t.Context(), "../x", func(blob.Info) bool { return true }); err == nil {
		t.Error("list ../x was not refused")
	}
	expect(t, s, "")
}

func list(t *testing.T, s blob.Store) {
	expect(t, s, "")
	expect(t, s, "nothing")
	for _, name := range []string{"a/b/1", "a/b/2", "a/bc/3", "a/4", "ab", "b/a/b/5"} {
		put(t, s, name, name)
	}
	expect(t, s, "", "a/4 3", "a/b/1 5", "a/b/2 5", "a/bc/3 6", "ab 2", "b/a/b/5 7")
	expect(t, s, "a", "a/4 3", "a/b/1 5", "a/b/2 5", "a/bc/3 6")
	expect(t, s, "a/b", "a/b/1 5", "a/b/2 5")
	expect(t, s, "ab") // it is an object, and nothing is below it
	n := 0
	if err := s.List(t.Context(), "", func(blob.Info) bool { n++; return n < 2 }); err != nil || n != 2 {
		t.Errorf("a listing that was to end after 2 gave %d, %v", n, err)
	}
}

func readAtAnywhere(t *testing.T, s blob.Store) {
	content := random(100_000)
	put(t, s, "o", string(content))
	put(t, s, "empty", "")
	o, err := s.Open(t.Context(), "o")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Size() != int64(len(content)) {
		t.Fatalf("%d bytes (expected %d)", o.Size(), len(content))
	}
	for _, c := range []struct {
		at, length, n int
		err           error
	}{
		{0, 10, 10, nil}, {0, len(content), len(content), nil}, {99_999, 1, 1, nil}, {50_000, 50_000, 50_000, nil},
		{99_999, 2, 1, io.EOF}, {0, len(content) + 1, len(content), io.EOF}, {len(content), 1, 0, io.EOF}, {len(content) + 7, 5, 0, io.EOF}, {10, 0, 0, nil},
	} {
		p := make([]byte, c.length)
		n, err := o.ReadAt(p, int64(c.at))
		if n != c.n || err != c.err && !(n == c.length && err == io.EOF) || n > 0 && !bytes.Equal(p[:n], content[c.at:c.at+n]) {
			t.Errorf("read %d at %d: %d, %v (expected %d, %v, and what is there)", c.length, c.at, n, err, c.n, c.err)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("read at -1: %v", err)
	}
	empty, err := s.Open(t.Context(), "empty")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if n, err := empty.ReadAt(make([]byte, 1), 0); empty.Size() != 0 || n != 0 || err != io.EOF {
		t.Errorf("an empty object has %d bytes, of which %d were read: %v", empty.Size(), n, err)
	}
}

func sub(t *testing.T, s blob.Store) {
	below := s.Sub("p/q")
	put(t, s, "p/q/1", "one")
	put(t, below, "2", "two")
	put(t, s, "p/other", "")
	expect(t, below, "", "1 3", "2 3")
	if got := read(t, s, "p/q/2"); got != "two" {
		t.Errorf("what was put below is %q above", got)
	}
	if err := below.Put(t.Context(), "1", strings.NewReader(""), 0); !errors.Is(err, blob.ErrExists) {
		t.Errorf("put below what was put above: %v (expected ErrExists)", err)
	}
	put(t, below.Sub("r"), "3", "three")
	if err := below.Delete(t.Context(), "1", "r/3"); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", "p/other 0", "p/q/2 3")
}

func remove(t *testing.T, s blob.Store) {
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprint("d/", i))
		put(t, s, many[i], "x")
	}
	put(t, s, "stays", "x")
	if err := s.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	o, err := s.Open(t.Context(), "d/0")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := s.Delete(t.Context(), append(many, "d/none", "none")...); err != nil {
		t.Error(err)
	}
	expect(t, s, "", "stays 1")
	if _, err := s.Open(t.Context(), "d/0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open what was deleted: %v (expected ErrNotExist)", err)
	}
	if n, err := o.ReadAt(make([]byte, 1), 0); n != 1 && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read what was open when it was deleted: %d, %v (expected it, or ErrNotExist)", n, err)
	}
	put(t, s, "d/0", "again")
	if got := read(t, s, "d/0"); got != "again" {
		t.Errorf("a name that was deleted and put again has %q", got)
	}
}

func endedContext(t *testing.T, s blob.Store) {
	put(t, s, "o", "x")
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Put(ctx, "halfway", io.MultiReader(io.LimitReader(zeros{}, large), ends{cancel}, strings.NewReader("rest")), -1); !errors.Is(err, context.Canceled) {
		t.Errorf("a put that was canceled half way: %v (expected Canceled)", err)
	}
	if err := s.Put(ctx, "after", strings.NewReader("x"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("put with a context that has ended: %v (expected Canceled)", err)
	}
	if err := s.List(ctx, "", func(blob.Info) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("list with a context that has ended: %v (expected Canceled)", err)
	}
	expect(t, s, "", "o 1")
}

// large is more than one part of whatever a store cuts objects into.
const large = 9<<20 + 12345

func largeObjects(t *testing.T, s blob.Store) {
	for name, size := range map[string]int{"part": 8 << 20, "part-and-one": 8<<20 + 1, "large": large, "two-parts": 16 << 20, "more": 21 << 20} {
		content := random(size)
		for _, said := range []int64{int64(size), -1} {
			name := fmt.Sprint(name, said)
			if err := s.Put(t.Context(), name, bytes.NewReader(content), said); err != nil {
				t.Fatal(err)
			}
			if got := read(t, s, name); got != string(content) {
				t.Errorf("%s: %d bytes are not what was put", name, len(got))
			}
			if err := s.Put(t.Context(), name, bytes.NewReader(content), said); !errors.Is(err, blob.ErrExists) {
				t.Errorf("%s: put again: %v (expected ErrExists)", name, err)
			}
		}
	}
	var won atomic.Int32
	content := random(large)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			switch err := s.Put(t.Context(), "race", bytes.NewReader(content), large); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, blob.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d have put it (expected 1)", n)
	}
}

func concurrentUse(t *testing.T, s blob.Store) {
	const users, objects = 8, 12
	content := random(300_000)
	put(t, s, "shared", string(content))
	o, err := s.Open(t.Context(), "shared")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for i := range objects {
				name := fmt.Sprintf("u%d/%d", u, i)
				p := make([]byte, 1000)
				at := (u*objects + i) * 3000 % (len(content) - len(p))
				if _, err := o.ReadAt(p, int64(at)); err != nil || !bytes.Equal(p, content[at:at+len(p)]) {
					t.Errorf("read at %d: %v", at, err)
				}
				if err := s.Put(t.Context(), name, bytes.NewReader(p), int64(len(p))); err != nil {
					t.Error(err)
				}
				if got, err := blob.Read(t.Context(), s, name); err != nil || !bytes.Equal(got, p) {
					t.Errorf("%s: %v, or not what was put", name, err)
				}
				if i%2 == 0 {
					if err := s.Delete(t.Context(), name); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if got := listed(t, s, ""); len(got) != users*objects/2+1 {
		t.Errorf("%d objects are left (expected %d)", len(got), users*objects/2+1)
	}
}

// url opens the store anew where others can.
func url(t *testing.T, s blob.Store) {
	if strings.HasPrefix(s.URL(), "memory:") {
		return
	}
	put(t, s, "p/o", "x")
	for at, name := range map[string]string{s.URL(): "p/o", blob.Join(s.URL(), "p"): "o", s.Sub("p").URL(): "o"} {
		again, err := blob.Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, again, name); got != "x" {
			t.Errorf("%s in %s is %q", name, at, got)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := blob.Check(t.Context(), s.URL()); err != nil {
		t.Error(err)
	}
	expect(t, s, "", "p/o 1")
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// ends cancels when it is come to.
type ends struct{ cancel func() }

func (e ends) Read([]byte) (int, error) { e.cancel(); return 0, io.EOF }

func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n)})
	p := make([]byte, n)
	_, _ = r.Read(p) // never fails
	return p
}
