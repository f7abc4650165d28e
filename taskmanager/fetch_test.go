package taskmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/blob/s3test"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// far is an object that counts how it is read, and fails while it is told to.
type far struct {
	*bytes.Reader
	reads atomic.Int32
	fails atomic.Int32
}

func (f *far) Close() error { return nil }

func (f *far) ReadAt(p []byte, at int64) (int, error) {
	f.reads.Add(1)
	if f.fails.Add(-1) >= 0 {
		return 0, errors.New("the store is gone")
	}
	return f.Reader.ReadAt(p, at)
}

// newFar is an object of five chunks, the last a short one.
func newFar(t *testing.T) (*far, []byte, *fetched) {
	t.Helper()
	content := make([]byte, 4*fetchChunk+12345)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // never fails
	o := &far{Reader: bytes.NewReader(content)}
	f, err := newFetched(o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return o, content, f
}

// readsAlike fails the test where a copy does not read as the content does.
func readsAlike(t *testing.T, f *fetched, content []byte, random *rand.Rand) {
	at := random.IntN(len(content))
	p := make([]byte, 1+random.IntN(3*fetchChunk))
	n, err := f.ReadAt(p, int64(at))
	want := content[at:min(at+len(p), len(content))]
	if !bytes.Equal(p[:n], want) || (err == nil) != (n == len(p)) {
		t.Errorf("read %d at %d: %d bytes, %v (expected %d as they are)", len(p), at, n, err, len(want))
	}
}

// However many read it meanwhile, an object is read once.
func TestFetchedOnce(t *testing.T) {
	o, content, f := newFar(t)
	fetching := startFetching(t.Context(), []*fetched{f})
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 20 {
				readsAlike(t, f, content, random)
			}
		})
	}
	wg.Wait()
	got := make([]byte, len(content))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the copy is not whole: %v", err)
	}
	fetching.stop()
	if n := o.reads.Load(); int(n) != len(f.chunks) {
		t.Errorf("%d reads (expected one for each of %d chunks)", n, len(f.chunks))
	}
}

// A store that is gone for a while is no fault of the copy: who asks is told, and served when it is back.
func TestFetchingGoesOnAfterAFailure(t *testing.T) {
	o, content, f := newFar(t)
	o.fails.Store(2)
	for i := range 4 {
		got := make([]byte, 100)
		_, err := f.ReadAt(got, fetchChunk+7)
		if failed := i < 2; (err != nil) != failed || !failed && !bytes.Equal(got, content[fetchChunk+7:][:100]) {
			t.Errorf("read %d: %v (expected a failure: %v)", i, err, failed)
		}
	}
	if n := o.reads.Load(); n != 3 {
		t.Errorf("%d reads (expected 3)", n)
	}
}

// A disk that takes no more leaves the object to be read where it lies.
func TestFetchingWithoutRoom(t *testing.T) {
	_, content, f := newFar(t)
	f.file.Close()
	var err error
	if f.file, err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		readsAlike(t, f, content, random)
	}
}

// What a task goes on from is copied from S3 in a few requests, and read from the copy from then on.
func TestRestoreFetchesFromS3(t *testing.T) {
	server := s3test.Start(t)
	store, err := blob.Open(t.Context(), server.URL("restore"))
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: "n", Kind: uint8(state.Bytes)}})
	w.SetName("files/1.snap")
	const entries, groups = 30_000, 4
	for i := range entries {
		random := make([]byte, 200)
		_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(random) // never fails
		e := snapshot.Entry{Group: 1, Key: fmt.Appendf(nil, "%08d", i), Op: snapshot.Put, Value: random}
		if err := w.Add(&e); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "files/1.snap", bytes.NewReader(content.Bytes()), info.Size); err != nil {
		t.Fatal(err)
	}
	f := checkpoint.File{Name: "files/1.snap", Size: info.Size, Checksum: info.Checksum, Footer: info.Footer, To: groups}
	var gets atomic.Int32
	server.Break(func(r *http.Request) s3test.Fault {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		return s3test.Works
	})
	for name, room := range map[string]func(int64) error{
		"room": func(int64) error { return nil },
		"none": func(int64) error { return errors.New("the disk is full") },
	} {
		gets.Store(0)
		dir := t.TempDir() + "/job"
		r, err := (&origin{log: slog.New(slog.DiscardHandler), store: store, dir: dir, lazily: true, room: room}).open(t.Context(), 1, []checkpoint.File{f})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		all := r.readers[0].Scan(snapshot.Everything)
		for all.Next() {
			n++
		}
		if all.Err() != nil || n != entries {
			t.Errorf("%s: %d entries, %v (expected %d)", name, n, all.Err(), entries)
		}
		chunks := int32((info.Size + fetchChunk - 1) / fetchChunk)
		if got := gets.Load(); chunks < 3 || (got == chunks) != (name == "room") {
			t.Errorf("%s: %d requests for %d chunks", name, got, chunks)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %d files are left in the directory", name, len(left))
		}
		r.close()
		if r.fetching == nil {
			continue
		}
		if _, err := r.fetching.objects[0].Object.ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
			t.Errorf("read after the end: %v (expected Canceled)", err)
		}
	}
}
