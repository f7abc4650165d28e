package clustertest

import (
	"context"
	"maps"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
	"github.com/wasmill/wasmill/internal/durable"
)

// paced makes a source take its time: computing takes none in virtual time, and a job that is over at once meets no fault.
type paced struct {
	connector.Source
	records int           // of a Poll
	every   time.Duration // between two of a split
}

// At implements connector.Located, if the source does.
func (s paced) At(dir string) (map[string]string, error) {
	return s.Source.(connector.Located).At(dir)
}

// For implements connector.Typed, if the source does.
func (s paced) For(output abi.Codec) (connector.Source, error) {
	typed, ok := s.Source.(connector.Typed)
	if !ok {
		return s, nil
	}
	made, err := typed.For(output)
	s.Source = made
	return s, err
}

func (s paced) Open(ctx context.Context, split connector.Split) (connector.Reader, error) {
	r, err := s.Source.Open(ctx, split)
	if err != nil {
		return nil, err
	}
	return &pacedReader{Reader: r, source: s}, nil
}

type pacedReader struct {
	connector.Reader
	source paced
	next   time.Time
	had    bool // all that there was, when it was asked last
}

func (r *pacedReader) Poll(b *abi.Builder, most, maxBytes int, now time.Time) (connector.Progress, error) {
	if now.Before(r.next) {
		return connector.Progress{Wake: r.next, CaughtUp: r.had}, nil
	}
	r.next = now.Add(r.source.every)
	p, err := r.Reader.Poll(b, min(most, r.source.records), maxBytes, now)
	r.had = p.CaughtUp
	return p, err
}

// endless is a source whose splits do not end: where they would, they have nothing for now.
type endless struct{ connector.Source }

func (endless) Bounded() bool { return false }

// At implements connector.Located, if the source does.
func (s endless) At(dir string) (map[string]string, error) {
	return s.Source.(connector.Located).At(dir)
}

func (s endless) Open(ctx context.Context, split connector.Split) (connector.Reader, error) {
	r, err := s.Source.Open(ctx, split)
	if err != nil {
		return nil, err
	}
	return &endlessReader{Reader: r}, nil
}

type endlessReader struct {
	connector.Reader
	silent bool
}

func (r *endlessReader) Poll(b *abi.Builder, most, maxBytes int, now time.Time) (p connector.Progress, err error) {
	if !r.silent {
		p, err = r.Reader.Poll(b, most, maxBytes, now)
		r.silent, p.Done = p.Done, false
	}
	if r.silent {
		p.Wake, p.CaughtUp = now.Add(time.Minute), true
	}
	return p, err
}

// withoutEnd are the connectors of a registry whose sources do not end.
func withoutEnd(r *connector.Registry) *connector.Registry {
	out := &connector.Registry{Sources: map[string]func(map[string]string) (connector.Source, error){}, Sinks: r.Sinks}
	for name, make := range r.Sources {
		out.Sources[name] = func(config map[string]string) (connector.Source, error) {
			s, err := make(config)
			if err != nil {
				return nil, err
			}
			return endless{s}, nil
		}
	}
	return out
}

// connectorsOn are those of a registry as a process has them: the file source is a paced one, the file sink writes through
// the process's mount.
func connectorsOn(on durable.FS, r *connector.Registry, records int, every time.Duration) *connector.Registry {
	out := &connector.Registry{Sources: map[string]func(map[string]string) (connector.Source, error){}, Sinks: maps.Clone(r.Sinks)}
	out.Sinks["file"] = func(config map[string]string) (connector.Sink, error) { return file.NewSinkOn(on, config) }
	for name, make := range r.Sources {
		out.Sources[name] = make
		if name != "file" {
			continue
		}
		out.Sources[name] = func(config map[string]string) (connector.Source, error) {
			s, err := make(config)
			if err != nil {
				return nil, err
			}
			return paced{s, records, every}, nil
		}
	}
	return out
}

// Slow sinks are ready for the next batch after up to slowWrite; channels are full with a few small batches.
const (
	slowWrite = 240 * time.Millisecond
	slowQueue = 4 << 10
)

// slowSinks makes the sinks of a registry take less than the sources give, or nothing for an hour.
func slowSinks(r *connector.Registry, stuck bool) *connector.Registry {
	out := &connector.Registry{Sources: r.Sources, Sinks: map[string]func(map[string]string) (connector.Sink, error){}}
	for name, make := range r.Sinks {
		out.Sinks[name] = func(config map[string]string) (connector.Sink, error) {
			s, err := make(config)
			if err != nil {
				return nil, err
			}
			return slowSink{s, stuck}, nil
		}
	}
	return out
}

type slowSink struct {
	connector.Sink
	stuck bool
}

func (s slowSink) Open(ctx context.Context, task connector.SinkTask) (connector.Writer, error) {
	w, err := s.Sink.Open(ctx, task)
	if err != nil {
		return nil, err
	}
	return &slowWriter{Writer: w, stuck: s.stuck}, nil
}

type slowWriter struct {
	connector.Writer
	written int
	stuck   bool
}

func (w *slowWriter) Write(b *abi.Batch, now time.Time) (time.Time, error) {
	if _, err := w.Writer.Write(b, now); err != nil {
		return time.Time{}, err
	}
	if w.written++; w.stuck {
		return now.Add(time.Hour), nil
	}
	return now.Add(slowWrite * time.Duration(w.written%4) / 3), nil
}
