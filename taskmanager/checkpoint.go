package taskmanager

import (
	"context"

	"github.com/wasmill/wasmill/internal/wire"
)

// Trigger is not there yet.
func (tm *TaskManager) Trigger(context.Context, *wire.Trigger) error { return nil }

// Conclude is not there yet.
func (tm *TaskManager) Conclude(context.Context, *wire.Conclude) error { return nil }
