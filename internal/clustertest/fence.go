package clustertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

// fence stands between a process and everything that outlives it. When the process is killed, its goroutines are still
// there for a while; what they do then has no effect: files are not written, removed or renamed, objects are not put.
type fence struct {
	mu     sync.RWMutex // held for reading by what is being done
	killed bool
}

var errKilled = errors.New("the process was killed")

// down raises the fence, behind what is being done just now.
func (f *fence) down() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = true
}

// do does something, unless the process was killed.
func (f *fence) do(what func() error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.killed {
		return errKilled
	}
	return what()
}

// connectors are those of a registry behind the fence.
func (f *fence) connectors(r *connector.Registry) *connector.Registry {
	out := &connector.Registry{
		Sources: r.Sources, // reading has no effect
		Sinks:   map[string]func(map[string]string) (connector.Sink, error){},
	}
	for name, make := range r.Sinks {
		out.Sinks[name] = func(config map[string]string) (connector.Sink, error) {
			s, err := make(config)
			if err != nil {
				return nil, err
			}
			return fencedSink{s, f}, nil
		}
	}
	return out
}

type fencedSink struct {
	connector.Sink
	fence *fence
}

func (s fencedSink) Open(ctx context.Context, task connector.SinkTask) (w connector.Writer, err error) {
	err = s.fence.do(func() (err error) { w, err = s.Sink.Open(ctx, task); return err })
	if err != nil {
		return nil, err
	}
	return fencedWriter{w, s.fence}, nil
}

func (s fencedSink) Commit(ctx context.Context, job string, checkpoint uint64, prepared []connector.Committable) error {
	return s.fence.do(func() error { return s.Sink.Commit(ctx, job, checkpoint, prepared) })
}

func (s fencedSink) Abort(ctx context.Context, job string, before uint32) error {
	return s.fence.do(func() error { return s.Sink.Abort(ctx, job, before) })
}

type fencedWriter struct {
	connector.Writer
	fence *fence
}

func (w fencedWriter) Write(b *abi.Batch, now time.Time) (ready time.Time, err error) {
	err = w.fence.do(func() (err error) { ready, err = w.Writer.Write(b, now); return err })
	return ready, err
}

func (w fencedWriter) Prepare(ctx context.Context) (p []connector.Committable, err error) {
	err = w.fence.do(func() (err error) { p, err = w.Writer.Prepare(ctx); return err })
	return p, err
}

// Close leaves what is pending when the process was killed: the kernel closes files, it does not remove them.
func (w fencedWriter) Close() error { return w.fence.do(w.Writer.Close) }
