package jobmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// enumerate makes every source of a job list its splits, by the index of the source's operator. They are listed once, when
// the job is submitted or taken over, so that every attempt reads the same input.
func enumerate(ctx context.Context, connectors *connector.Registry, g *graph.JobGraph) (map[int]connector.Splits, error) {
	all := map[int]connector.Splits{}
	for _, i := range g.Sources() {
		op := &g.Operators[i]
		source, err := connectors.Source(op.Connector)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", op.Name, err)
		}
		if all[i], err = source.Enumerate(ctx, op.Parallelism); err != nil {
			return nil, fmt.Errorf("source %q: %w", op.Name, err)
		}
	}
	return all, nil
}

// connectorFailure is an error of enumerate as the cause of a job's failure.
func connectorFailure(err error) *wire.Failure {
	f := &wire.Failure{Kind: wire.KindIO, Message: err.Error()}
	var fault *connector.Error
	if errors.As(err, &fault) {
		f.Kind, f.Hint = wire.KindInput, fault.Hint
	}
	return f
}

// splitQueue gives out the splits of one source in one attempt, in their order. The same request of the same task is
// answered as it was before: its first answer may be lost on the way, and a lost split would be lost input. So every
// request is remembered, one a split and a last one a subtask.
type splitQueue struct {
	connector.Splits
	next  int
	given map[splitRequest]int // index of the split, or len(Splits)
}

type splitRequest struct {
	task    graph.TaskID
	request wire.RequestID
}

func newSplitQueue(splits connector.Splits) *splitQueue {
	return &splitQueue{Splits: splits, given: map[splitRequest]int{}}
}

func (q *splitQueue) assign(r splitRequest) *wire.SplitAssignment {
	i, again := q.given[r]
	if !again {
		i = q.next
		q.next = min(q.next+1, len(q.Splits.Splits))
		q.given[r] = i
	}
	a := &wire.SplitAssignment{Ordered: q.Ordered, Last: i+1 >= len(q.Splits.Splits)}
	if i < len(q.Splits.Splits) {
		a.Split, a.Index = &q.Splits.Splits[i], uint32(i)
	}
	return a
}

// inputBytes is how much bounded input the sources know to have, 0 when one of them does not.
func inputBytes(sources map[int]connector.Splits) int64 {
	var sum int64
	for _, splits := range sources {
		for _, s := range splits.Splits {
			if s.Bytes == 0 {
				return 0
			}
			sum += s.Bytes
		}
	}
	return sum
}
