package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// sandbox is what a task needs of a *host.Instance.
type sandbox interface {
	Manifest() *abi.Manifest
	Open(handle uint32, h *abi.Handle) error
	Process(handle uint32, h *abi.CallHeader, in host.Input) (*host.Effects, error)
	Keyed(handle uint32, verb abi.Verb, h *abi.CallHeader, g *abi.GroupsWriter, state host.State) (*host.Effects, error)
	Migrate(state, from uint32, in *abi.Builder) (*abi.Batch, error)
	Cancel()
	Fuel() int64
	Close(ctx context.Context) error
}

// guest is what a task has of one module: an instance, replaced when it dies, with every handle that the task's steps
// call. All methods but cancel are for the task's goroutine.
type guest struct {
	module  graph.ModuleID
	params  map[string]string                          // the job's
	start   func(ctx context.Context) (sandbox, error) // a fresh instance
	handles []*handle
	room    func() error    // waits until the outputs of the task take more; see loop.room
	running string          // the operators of the call that runs, which is whom the guest's logs come from
	spent   int64           // fuel of the instances before this one
	calls   int64           // of functions
	ctx     context.Context // of starting an instance; ends when the task is cancelled
	unhook  func() bool     // from ctx, once the first instance was started

	alone    bool // it has one handle, whose function keeps something in its memory
	checking bool // functions are called to see what they answer: what they log and count is dropped

	idle int // batches since something was migrated

	mu       sync.Mutex
	box      sandbox // guarded by mu for cancel; set by the task's goroutine
	aside    sandbox // the same; another instance, for migrations, nil when there is nothing to migrate
	canceled bool
}

// handle is functions that were composed, under the number that they have in the guest.
type handle struct {
	guest     *guest
	number    uint32
	names     string // of the operators, for people: "split -> word"
	functions abi.Handle
	checks    []keyCheck // of its key functions
	poison    *poison    // what becomes of what it traps on; nil: the job fails
}

// open starts an instance.
func (g *guest) open() error {
	if g.unhook == nil {
		g.unhook = context.AfterFunc(g.ctx, g.cancel)
	}
	box, err := g.start(g.ctx)
	if err != nil {
		return g.unusable(err)
	}
	g.mu.Lock()
	g.box = box
	canceled := g.canceled
	g.mu.Unlock()
	if canceled {
		box.Cancel()
	}
	for _, h := range g.handles {
		if err := box.Open(h.number, &h.functions); err != nil {
			return g.unusable(fmt.Errorf("open %s: %w", h.names, err))
		}
	}
	return nil
}

// unusable is the failure of a module that does not start.
func (g *guest) unusable(err error) error {
	var known *wire.Failure
	if errors.As(err, &known) {
		return err
	}
	kind := wire.KindModule
	var e *host.Error
	if errors.As(err, &e) && e.Kind == host.KindCanceled || errors.Is(err, context.Canceled) {
		kind = wire.KindCanceled
	}
	return refuse(kind, "start module %.12s: %v", g.module, err)
}

// cancel ends the call that runs, or the next one. Any goroutine may call it.
func (g *guest) cancel() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.canceled = true
	for _, box := range []sandbox{g.box, g.aside} {
		if box != nil {
			box.Cancel()
		}
	}
}

// close frees the instances.
func (g *guest) close() {
	g.closeAside()
	g.mu.Lock()
	box := g.box
	g.box = nil
	g.mu.Unlock()
	g.discard(box)
}

// discard closes an instance, nil for none, that nobody calls any more.
func (g *guest) discard(box sandbox) {
	if box != nil {
		g.spent += box.Fuel()
		box.Close(context.Background())
	}
}

// release is the end of a guest.
func (g *guest) release() {
	if g.unhook != nil {
		g.unhook()
	}
	g.close()
}

// renew replaces a dead instance.
func (g *guest) renew() error {
	g.close()
	return g.open()
}

func (g *guest) fuel() int64 {
	spent := g.spent
	for _, box := range []sandbox{g.box, g.aside} {
		if box != nil {
			spent += box.Fuel()
		}
	}
	return spent
}

// begin takes note of a call of a handle's functions.
func (g *guest) begin(h *handle) {
	g.running = h.names
	g.calls++
}

// process calls the handle's functions with a batch.
func (h *handle) process(header *abi.CallHeader, in host.Input) (*host.Effects, error) {
	h.guest.begin(h)
	return h.guest.box.Process(h.number, header, in)
}

// keyed calls the handle's keyed function with groups.
func (h *handle) keyed(verb abi.Verb, header *abi.CallHeader, groups *abi.GroupsWriter) (*host.Effects, error) {
	h.guest.begin(h)
	return h.guest.box.Keyed(h.number, verb, header, groups, nil)
}

// keyedWith is keyed for a function that asks for state.
func (h *handle) keyedWith(verb abi.Verb, header *abi.CallHeader, groups *abi.GroupsWriter, state host.State) (*host.Effects, error) {
	h.guest.begin(h)
	return h.guest.box.Keyed(h.number, verb, header, groups, state)
}

// unit says what a record, timer or group is called, shows its bytes and key, and what is to be done when it is left out.
type unit func(i int) poisoned

type poisoned struct {
	kind string // record, timer, result
	name string
	data []byte
	key  []byte // nil: it has none
	time int64  // event time, or abi.NoTimestamp
	skip func() error
}

// retry follows a call for n units that died with err. A guest may have died of what it did before, so the call is made
// once more as it was, on a fresh instance if need be; dead again, it is cut into halves, until it passes or the one
// record that kills it is found. What a call that passed has done stays done.
func (h *handle) retry(err error, n int, call func(lo, hi int) error, name unit) error {
	if again, final := h.decide(err); !again {
		return final
	}
	if err = h.call(err, 0, n, call); err == nil {
		return nil
	}
	return h.halve(err, 0, n, call, name)
}

// decide says whether trying again can help; if not, what the failure is.
func (h *handle) decide(err error) (again bool, final error) {
	var e *host.Error
	if !errors.As(err, &e) {
		var reply *operator.ReplyError
		if errors.As(err, &reply) {
			return true, nil
		}
		return false, err
	}
	if e.Kind == host.KindCanceled {
		return false, guestFailure(h.names, e, "", nil)
	}
	return true, nil
}

// call repeats a call for [lo, hi) after the guest has died with err.
func (h *handle) call(err error, lo, hi int, call func(lo, hi int) error) error {
	var e *host.Error
	if !errors.As(err, &e) || e.Kind.Poisoned() {
		if err := h.guest.renew(); err != nil {
			return err
		}
	}
	return call(lo, hi)
}

// halve finds what in [lo, hi) kills the guest, which it has just done with err.
func (h *handle) halve(err error, lo, hi int, call func(lo, hi int) error, name unit) error {
	again, final := h.decide(err)
	if !again {
		return final
	}
	var e *host.Error
	if !errors.As(err, &e) {
		e = &host.Error{Kind: host.KindRefused, Message: err.Error(), Record: abi.None}
	}
	switch {
	case !divisible(e.Kind):
		return guestFailure(h.names, e, "", nil)
	case hi-lo <= 1 && h.poison != nil && e.Kind != host.KindPanic:
		if e.Kind.Poisoned() {
			if err := h.guest.renew(); err != nil {
				return err
			}
		}
		u := name(lo)
		return h.poison.take(&u, guestFailure(h.names, e, u.name, u.data))
	case hi-lo <= 1:
		u := name(lo)
		return guestFailure(h.names, e, u.name, u.data)
	}
	mid := lo + (hi-lo)/2
	if err = h.call(err, lo, mid, call); err != nil {
		if err = h.halve(err, lo, mid, call, name); err != nil {
			return err
		}
	}
	if err = h.guest.room(); err != nil {
		return err
	}
	if failpoint.Planted(failpoint.RepeatPassed) {
		_ = call(lo, mid)
	}
	if err = call(mid, hi); err != nil {
		return h.halve(err, mid, hi, call, name)
	}
	return nil
}

// divisible says whether an end of this kind may be one record's fault.
func divisible(k host.Kind) bool {
	switch k {
	case host.KindTimeLimit, host.KindStackLimit, host.KindMemoryLimit, host.KindManifest, host.KindUnsupported:
		return false
	}
	return true
}
