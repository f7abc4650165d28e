package taskmanager

import (
	"errors"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// asideBatches is how many batches may pass in which nothing is migrated, until the instance that migrates is given up.
const asideBatches = 1024

// migrate has the module bring elements of a state from an older schema version to its own. It is asked of an instance
// of its own, since the task's may be in a call that waits for the answer; that is started when there is something to migrate.
func (g *guest) migrate(state, from uint32, elements *abi.Builder) (*abi.Batch, error) {
	g.idle = 0
	if g.aside == nil {
		box, err := g.start(g.ctx)
		if err != nil {
			return nil, g.unusable(err)
		}
		g.mu.Lock()
		g.aside = box
		canceled := g.canceled
		g.mu.Unlock()
		if canceled {
			box.Cancel()
		}
	}
	made, err := g.aside.Migrate(state, from, elements)
	var e *host.Error
	if errors.As(err, &e) && e.Kind.Poisoned() {
		g.closeAside()
	}
	return made, err
}

// rest says that a batch begins, and gives the instance that migrates up when there was nothing to migrate for long.
func (g *guest) rest() {
	if g.aside == nil {
		return
	}
	if g.idle++; g.idle > asideBatches {
		g.closeAside()
	}
}

func (g *guest) closeAside() {
	g.mu.Lock()
	box := g.aside
	g.aside = nil
	g.mu.Unlock()
	g.discard(box)
}

// Migrate implements operator.Calls.
func (s *processStep) Migrate(state int, from uint16, elements *abi.Builder, name func(record uint32) string) (*abi.Batch, error) {
	return s.handle.migrate(state, from, elements, name)
}

// migrate has elements of a state of its function migrated. One that the guest cannot migrate is a matter of the records that need
// it: they are tried again, halved, and left out or not, as after any trap.
func (h *handle) migrate(state int, from uint16, elements *abi.Builder, name func(record uint32) string) (*abi.Batch, error) {
	function := h.functions.Functions[0].Function // as the guest of now numbers it
	made, err := h.guest.migrate(function<<16|uint32(state), uint32(from), elements)
	if err == nil {
		return made, nil
	}
	var e *host.Error
	if !errors.As(err, &e) {
		return nil, err
	}
	if e.Kind == host.KindCanceled {
		return nil, e
	}
	named := *e
	named.Record, named.Message = abi.None, name(e.Record)+": "
	if e.Kind != host.KindFailed {
		named.Message += e.Kind.String() + ": "
	}
	named.Message += e.Message
	if divisible(e.Kind) && e.Kind != host.KindPanic {
		named.Kind = host.KindMigration
	}
	return nil, &named
}
