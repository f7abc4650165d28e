package file

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// pending is a file that is being written, or ended and not committed. It lies in the sink's directory, whatever its
// partition, so that what is left of lost attempts is found in one place.
type pending struct {
	c     committable
	id    string // of its partition
	file  durable.File
	out   *bufio.Writer // nil when it is ended
	body  body          // writes to it
	began time.Time
	used  uint64 // the turn of the writer that wrote to it last

	synced chan struct{} // made when it is ended, closed when it is durable or that has failed
}

func (f *pending) path() string { return filepath.Join(f.c.Dir, f.c.Pending) }

// Write appends bytes.
func (f *pending) Write(p []byte) (int, error) {
	n, err := f.out.Write(p)
	f.c.Bytes += int64(n)
	if err != nil {
		return n, failed("write", f.path(), err)
	}
	return n, nil
}

// remove closes and removes a file that nobody will commit.
func (f *pending) remove(on durable.FS) error {
	var err error
	if f.out != nil {
		err = f.file.Close()
		f.out = nil
	}
	if rerr := on.Remove(f.path()); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// syncs makes files durable beside the task, several at a time: a disk does that in hardly more time than one.
type syncs struct {
	wg    sync.WaitGroup
	slots chan struct{}
	mu    sync.Mutex
	err   error // the first one; guarded by mu
}

// maxSyncs is how many files of a writer are made durable at a time.
const maxSyncs = 8

// add makes a file durable and closes it, when there is a slot.
func (s *syncs) add(f *pending) {
	f.synced = make(chan struct{})
	s.slots <- struct{}{}
	s.wg.Go(func() {
		defer close(f.synced)
		defer func() { <-s.slots }()
		if err := end(f.path(), f.file); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.err == nil {
				s.err = err
			}
		}
	})
}

func end(path string, f durable.File) error {
	err := error(nil)
	if !failpoint.Planted(failpoint.UnsyncedOutput) {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return failed("sync", path, err)
	}
	if err := f.Close(); err != nil {
		return failed("close", path, err)
	}
	return nil
}

// failure is the first error so far. One file that is not durable makes all that was written worthless.
func (s *syncs) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// create makes a pending file.
func create(on durable.FS, c committable) (durable.File, error) {
	f, err := on.Create(filepath.Join(c.Dir, c.Pending), os.O_EXCL, 0o666)
	if err != nil {
		return nil, unwritable(c.Dir, err, true)
	}
	return f, nil
}
