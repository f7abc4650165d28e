package taskmanager

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// Commit makes what the sinks of a job have prepared visible, or removes what earlier attempts left behind. It may be
// called again after it was done, in part or in whole.
func (tm *TaskManager) Commit(ctx context.Context, c *wire.Commit) error {
	if err := tm.adopt(c.Epoch); err != nil {
		return err
	}
	if c.Abort {
		return tm.abort(ctx, c)
	}
	failpoint.Hit(failpoint.CommitNotified)
	for _, i := range c.Graph.Sinks() {
		op := &c.Graph.Operators[i]
		sink, err := tm.config.Connectors.Sink(op.Connector)
		if err != nil {
			return inOperator(op.Name, wire.KindInput, err)
		}
		var own []connector.Committable
		for _, p := range c.Prepared {
			if p.Operator == op.Name {
				own = append(own, p)
			}
		}
		if err := sink.Commit(ctx, string(c.Job), c.Checkpoint, own); err != nil {
			return inOperator(op.Name, wire.KindIO, fmt.Errorf("commit checkpoint %d: %w", c.Checkpoint, err))
		}
		failpoint.Hit(failpoint.SinkCommitting)
	}
	return nil
}

// abort removes what earlier attempts left behind. One sink that cannot be cleaned does not keep the others from it.
func (tm *TaskManager) abort(ctx context.Context, c *wire.Commit) error {
	sinks := slices.Clone(c.Former)
	for _, i := range c.Graph.Sinks() {
		sinks = append(sinks, c.Graph.Operators[i])
	}
	var errs []error
	for i := range sinks {
		op := &sinks[i]
		sink, err := tm.config.Connectors.Sink(op.Connector)
		if err != nil {
			errs = append(errs, inOperator(op.Name, wire.KindInput, err))
			continue
		}
		if err := sink.Abort(ctx, string(c.Job), uint32(c.Attempt)); err != nil {
			errs = append(errs, inOperator(op.Name, wire.KindIO, fmt.Errorf("remove what earlier attempts left: %w", err)))
		}
	}
	return cmp.Or(errs...)
}
