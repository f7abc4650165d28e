// Package blackhole is a sink that takes records and forgets them, at full speed or at a given rate: for measuring, and
// for seeing what a slow sink does to a job.
package blackhole

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

// Sink discards records. Options:
//
//	rate     records a second and subtask; none or 0: no limit
//	updates  of results that change: all, so that they are put out each time; final (default): once
type Sink struct{ rate float64 }

// NewSink checks the options.
func NewSink(config map[string]string) (connector.Sink, error) {
	s := &Sink{}
	for key, value := range config {
		if err := s.set(key, value); err != nil {
			return nil, &connector.Error{Op: "blackhole sink", Err: err}
		}
	}
	return s, nil
}

func (s *Sink) set(key, value string) error {
	switch {
	case key == "updates" && (value == "" || value == "final" || value == "all"): // the operators before it see to that
	case key == "updates":
		return fmt.Errorf("updates: %q (expected final or all)", value)
	case key != "rate":
		return fmt.Errorf("unknown option %q (known: rate, updates)", key)
	case value != "":
		rate, err := strconv.ParseFloat(value, 64)
		if err != nil || !(rate >= 0) {
			return fmt.Errorf("rate: %q (expected records a second, >= 0)", value)
		}
		s.rate = rate
	}
	return nil
}

// Columns asks for values, so that what is discarded has been produced and carried.
func (s *Sink) Columns(_, _ abi.Codec) (abi.Columns, error) { return abi.ColumnValues, nil }

// Open returns a writer.
func (s *Sink) Open(context.Context, connector.SinkTask) (connector.Writer, error) {
	return &writer{rate: s.rate}, nil
}

// Commit has nothing to do.
func (s *Sink) Commit(context.Context, string, uint64, []connector.Committable) error { return nil }

// Abort has nothing to do.
func (s *Sink) Abort(context.Context, string, uint32) error { return nil }

type writer struct {
	rate  float64
	ready time.Time // when what was taken so far is worked off
}

func (w *writer) Write(b *abi.Batch, now time.Time) (time.Time, error) {
	if w.rate == 0 {
		return time.Time{}, nil
	}
	if w.ready.Before(now) {
		w.ready = now
	}
	w.ready = w.ready.Add(time.Duration(float64(b.N) / w.rate * float64(time.Second)))
	return w.ready, nil
}

func (w *writer) Prepare(context.Context) ([]connector.Committable, connector.Settle, error) {
	return nil, nil, nil
}
func (w *writer) Close() error { return nil }

// Guarantee is ExactlyOnce: nothing is ever visible.
func (s *Sink) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
