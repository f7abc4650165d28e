package ha

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/wasmill/wasmill/internal/graph"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	suite(t, func(t *testing.T) Store { return opened(t)(OpenMemory(slog.Default())) })
}

func TestDirectoryKeepsTheContract(t *testing.T) {
	suite(t, func(t *testing.T) Store { return opened(t)(OpenDir(t.TempDir(), slog.Default())) })
}

func opened(t *testing.T) func(Store, error) Store {
	return func(s Store, err error) Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

// suite is what every Store must do.
func suite(t *testing.T, open func(*testing.T) Store) {
	t.Run("values", func(t *testing.T) {
		s := open(t)
		must(t, s.Apply(Put("job/b", []byte("1")), Put("job/a", []byte("2")), Put("module/x", nil)))
		if v, ok := s.Get("job/b"); !ok || string(v) != "1" {
			t.Errorf("Get: %q, %v", v, ok)
		}
		if _, ok := s.Get("job/"); ok {
			t.Error("Get found a prefix")
		}
		if got := fmt.Sprint(s.List("job/")); got != fmt.Sprint([]Entry{{"job/a", []byte("2")}, {"job/b", []byte("1")}}) {
			t.Errorf("List: %s", got)
		}
		must(t, s.Apply(Delete("job/b"), Delete("job/never"), Put("job/a", []byte("3"))))
		if got := fmt.Sprint(s.List("job/")); got != fmt.Sprint([]Entry{{"job/a", []byte("3")}}) {
			t.Errorf("List after Delete: %s", got)
		}
	})
	t.Run("all or nothing", func(t *testing.T) {
		s := open(t)
		must(t, s.Apply(PutIfAbsent("taken", []byte("first"))))
		err := s.Apply(Put("other", nil), PutIfAbsent("taken", []byte("second")))
		if !errors.Is(err, ErrExists) {
			t.Errorf("PutIfAbsent of a key that exists: %v", err)
		}
		if v, _ := s.Get("taken"); string(v) != "first" {
			t.Errorf("taken: %q", v)
		}
		if _, ok := s.Get("other"); ok {
			t.Error("a part of a refused Apply took place")
		}
	})
	t.Run("counters never repeat", func(t *testing.T) {
		s := open(t)
		var mu sync.Mutex
		var got []uint64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					n, err := s.Next("checkpoint")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					got = append(got, n)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(got)
		for i, n := range got {
			if n != uint64(i+1) {
				t.Fatalf("counts: %v", got)
			}
		}
		if n, err := s.Next("another"); n != 1 || err != nil {
			t.Errorf("first of another counter: %d, %v", n, err)
		}
		must(t, s.Apply(DropCounter("another"), DropCounter("unknown")))
		if n, err := s.Next("another"); n != 1 || err != nil {
			t.Errorf("first of a counter that was forgotten: %d, %v", n, err)
		}
	})
	t.Run("leads at once", func(t *testing.T) {
		start := time.Now()
		if s := open(t); s.Epoch() == 0 {
			t.Error("epoch 0")
		}
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("leading took %s", took)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingSurvivesAnotherStartAndTheEpochGrows(t *testing.T) {
	dir := t.TempDir()
	for start := range 4 {
		s, err := OpenDir(dir, slog.Default())
		must(t, err)
		if s.Epoch() != graph.Epoch(start+1) {
			t.Errorf("start %d: epoch %d", start, s.Epoch())
		}
		if got := len(s.List("start/")); got != start {
			t.Errorf("start %d: %d entries of the starts before", start, got)
		}
		must(t, s.Apply(Put(fmt.Sprintf("start/%d", start), []byte{1})))
		if n, err := s.Next("n"); n != uint64(start+1) || err != nil {
			t.Errorf("start %d: counter %d, %v", start, n, err)
		}
		if start == 1 { // the starts behind it read a snapshot and the log after it
			must(t, s.(*raftStore).raft.Snapshot().Error())
		}
		must(t, s.Close())
	}
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	opened(t)(OpenDir(dir, slog.Default()))
	_, err := OpenDir(dir, slog.Default())
	if err == nil || !strings.Contains(err.Error(), "another JobManager uses this directory") || !strings.Contains(err.Error(), dir) {
		t.Errorf("second OpenDir: %v", err)
	}
}

func TestWriteOfAnOlderEpochIsRefused(t *testing.T) {
	s := opened(t)(OpenMemory(slog.Default())).(*raftStore)
	_, err := s.do(command{Lead: true}) // another process takes over
	must(t, err)
	if err := s.Apply(Put("k", nil)); !errors.Is(err, ErrStale) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := s.Next("n"); !errors.Is(err, ErrStale) {
		t.Errorf("Next: %v", err)
	}
	if len(s.List("")) != 0 {
		t.Error("a stale write took place")
	}
}

func TestQuietWhenAllIsWell(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	dir := t.TempDir()
	for range 2 {
		s, err := OpenDir(dir, log)
		must(t, err)
		must(t, s.Apply(Put("k", nil)))
		must(t, s.Close())
	}
	if out.Len() > 0 {
		t.Errorf("logged:\n%s", &out)
	}
}

// The JobManager's own tests run on fake time, with metadata in memory.
func TestMemoryRunsOnFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s, err := OpenMemory(slog.Default())
		must(t, err)
		must(t, s.Apply(Put("k", nil)))
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("leading took %s", took)
		}
		must(t, s.Close())
	})
}

// fullDisk is a log that cannot be written for a while.
type fullDisk struct {
	raft.LogStore
	full atomic.Bool
}

func (d *fullDisk) StoreLogs(logs []*raft.Log) error {
	if d.full.Load() {
		return fmt.Errorf("write log.db: %w", syscall.ENOSPC)
	}
	return d.LogStore.StoreLogs(logs)
}

func TestWritesGoOnAfterAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := raft.NewInmemStore()
		disk := &fullDisk{LogStore: mem}
		s, err := open(slog.New(slog.DiscardHandler), disk, mem, raft.NewInmemSnapshotStore(), func() error { return nil })
		must(t, err)
		epoch := s.Epoch()
		must(t, s.Apply(Put("before", nil)))
		disk.full.Store(true)
		if err := s.Apply(Put("lost", nil)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Apply: %v (expected %v)", err, syscall.ENOSPC)
		}
		if _, ok := s.Get("before"); !ok {
			t.Error("nothing can be read any more")
		}
		disk.full.Store(false)
		start := time.Now()
		must(t, s.Apply(Put("after", nil)))
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("writes went on after %s", took)
		}
		if s.Epoch() != epoch {
			t.Errorf("epoch %d (expected %d)", s.Epoch(), epoch)
		}
		must(t, s.Close())
	})
}
