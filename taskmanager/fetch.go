package taskmanager

import (
	"context"
	"io"
	"os"
	"sync"

	"github.com/wasmill/wasmill/internal/blob"
)

const (
	fetchChunk   = 2 << 20 // bytes of one request
	fetchersEach = 4       // of one task, beside what the task itself asks for
)

// fetching copies the objects that a task is restored from, and that lie on another machine, to this one while the task
// already reads them: a request for each key that is touched would take minutes where the whole file takes seconds. What
// the task asks for comes first. The copies have no names: they are gone with the task.
type fetching struct {
	objects []*fetched
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// startFetching copies until it is stopped, the first objects first.
func startFetching(ctx context.Context, objects []*fetched) *fetching {
	f := &fetching{objects: objects}
	ctx, f.cancel = context.WithCancel(ctx)
	work := make(chan func() error)
	f.wg.Go(func() {
		defer close(work)
		for _, o := range objects {
			for i := range o.chunks {
				select {
				case work <- func() error { return o.ensure(i) }:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range fetchersEach {
		f.wg.Go(func() {
			for load := range work {
				if load() != nil {
					f.cancel() // the task will meet it, too, if it comes there, and say so
				}
			}
		})
	}
	return f
}

func (f *fetching) stop() {
	f.cancel()
	f.wg.Wait()
}

// fetched is an object and as much of its copy as there is. It may be read by many goroutines.
type fetched struct {
	blob.Object
	file *os.File

	mu     sync.Mutex
	come   sync.Cond // a chunk has come, or has not
	chunks []chunk   // guarded by mu
	full   bool      // guarded by mu: the disk took no more, and what is not there is read from the object
}

// chunk is how far a part of the copy is.
type chunk uint8

const (
	absent chunk = iota
	coming
	present
)

// newFetched makes a copy that has nothing yet.
func newFetched(o blob.Object, dir string) (*fetched, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "fetched-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // it lasts as long as it is open
	if err := file.Truncate(o.Size()); err != nil {
		file.Close()
		return nil, err
	}
	f := &fetched{Object: o, file: file, chunks: make([]chunk, (o.Size()+fetchChunk-1)/fetchChunk)}
	f.come.L = &f.mu
	return f, nil
}

// ReadAt implements io.ReaderAt.
func (f *fetched) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || len(p) == 0 || at >= f.Size() {
		return f.Object.ReadAt(p, at)
	}
	last := min(at+int64(len(p)), f.Size()) - 1
	for i := at / fetchChunk; i <= last/fetchChunk; i++ {
		if err := f.ensure(int(i)); err != nil {
			return 0, err
		}
	}
	f.mu.Lock()
	full := f.full
	f.mu.Unlock()
	if full {
		return f.Object.ReadAt(p, at)
	}
	return f.file.ReadAt(p, at)
}

// ensure returns when a chunk is in the copy, or there is no room for one.
func (f *fetched) ensure(i int) error {
	f.mu.Lock()
	for f.chunks[i] == coming {
		f.come.Wait()
	}
	if f.chunks[i] == present || f.full {
		f.mu.Unlock()
		return nil
	}
	f.chunks[i] = coming
	f.mu.Unlock()

	full, err := f.load(i)

	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = f.full || full
	if f.chunks[i] = present; full || err != nil {
		f.chunks[i] = absent
	}
	f.come.Broadcast()
	return err
}

func (f *fetched) load(i int) (full bool, err error) {
	at := int64(i) * fetchChunk
	p := make([]byte, min(fetchChunk, f.Size()-at))
	if n, err := f.Object.ReadAt(p, at); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return false, err
	}
	_, err = f.file.WriteAt(p, at)
	return err != nil, nil
}

// Close closes the object and drops the copy.
func (f *fetched) Close() error {
	_ = f.file.Close()
	return f.Object.Close()
}
