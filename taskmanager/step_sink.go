package taskmanager

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
)

// sinkStep writes what it is given.
type sinkStep struct {
	name    string
	sink    connector.Sink
	task    connector.SinkTask
	writer  connector.Writer // from open to close
	ready   time.Time        // when it takes more
	time    *taskTime
	metrics *taskMetrics
	taken   *atomic.Int64 // records, of metrics
}

func (s *sinkStep) open(ctx context.Context) error {
	w, err := s.sink.Open(ctx, s.task)
	if err != nil {
		return inOperator(s.name, wire.KindIO, err)
	}
	s.writer = w
	return nil
}

func (s *sinkStep) process(b *batch) error {
	if b.N == 0 {
		return nil
	}
	ready, err := s.writer.Write(&b.Batch, s.time.now)
	if err != nil {
		return inOperator(s.name, wire.KindIO, err)
	}
	if ready.After(s.ready) {
		s.ready = ready
	}
	s.metrics.out(b.N, len(b.Keys)+len(b.Values))
	s.taken.Add(int64(b.N))
	return nil
}

func (s *sinkStep) advance(int64) (bool, error) { return false, nil }

// prepare ends the output.
func (s *sinkStep) prepare(ctx context.Context) ([]connector.Committable, connector.Settle, error) {
	prepared, settle, err := s.writer.Prepare(ctx)
	if err != nil {
		return nil, nil, inOperator(s.name, wire.KindIO, err)
	}
	for i := range prepared {
		prepared[i].Operator = s.name
	}
	if settle == nil {
		return prepared, nil, nil
	}
	return prepared, func(ctx context.Context) error {
		if err := settle(ctx); err != nil {
			return inOperator(s.name, wire.KindIO, err)
		}
		return nil
	}, nil
}

func (s *sinkStep) close() error {
	if s.writer == nil {
		return nil
	}
	return s.writer.Close()
}
