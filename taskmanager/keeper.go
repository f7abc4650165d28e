package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// keeper writes what a task has frozen, beside the task: to a local file, from there to the checkpoint store, and then
// acknowledges. It knows which files make up the task's state. What could not be written is kept and written with the
// next part, so a checkpoint that is given up loses nothing.
type keeper struct {
	store    blob.Store
	on       durable.FS
	dir      string // of local files; each is a copy of an object of the same name
	name     func(n int) string
	inFlight func(id checkpoint.ID) string // name of the file of what was in flight
	lanes    []checkpoint.Lane             // the task's channels, without figures
	from, to graph.KeyGroup
	ack      func(ctx context.Context, id checkpoint.ID, part *checkpoint.Task, declined *wire.Failure)
	nudge    func() // has the task look at broken
	log      *slog.Logger

	more chan struct{} // capacity 1
	wg   sync.WaitGroup

	mu       sync.Mutex
	queue    []capture // guarded by mu, like the rest
	lost     error     // why output of a part is not durable
	aborted  checkpoint.ID
	settling bool               // the end of the task waits
	at       checkpoint.ID      // whose part is being made, 0: files are folded
	stop     context.CancelFunc // ends that; nil: neither is

	// Owned by the keeper's goroutine.
	files     []checkpoint.File              // of the state, the oldest first
	unwritten []state.Frozen                 // the oldest first
	last      state.Frozen                   // is in a file, and to be written whole; nil: nothing is
	number    int                            // of the last file
	versions  map[string]checkpoint.Versions // of the files that it has written, by name
	// Of the last part: entries that have ended by then are left out when files are folded.
	now        int64
	watermarks map[string]int64 // by operator, of states that live by event time
}

// capture is a task's part of a checkpoint at the time of its barrier.
type capture struct {
	checkpoint checkpoint.ID
	part       *checkpoint.Task
	settle     settles           // of the output that the part is the first to name
	frozen     state.Frozen      // nil: the task keeps no state
	now        int64             // milliseconds, of the state
	watermarks map[string]int64  // of the state, by operator
	inFlight   *exchange.Capture // nil: the barrier has overtaken nothing
	trial      *trial            // of guests that came with it, nil: none did
	settled    chan error        // nil, or this is no part: only its output is settled, and why not is said here
}

// release frees what the part holds.
func (c *capture) release() {
	if c.frozen != nil {
		c.frozen.Release()
	}
	if c.inFlight != nil {
		c.inFlight.Release()
	}
}

func (k *keeper) start(ctx context.Context) {
	k.more = make(chan struct{}, 1)
	k.wg.Go(func() { k.run(ctx) })
}

// close waits for the keeper's goroutine, whose context has ended, and frees what is kept.
func (k *keeper) close() {
	k.wg.Wait()
	for _, c := range k.queue {
		c.release()
	}
	for _, f := range k.unwritten {
		f.Release()
	}
	k.queue, k.unwritten = nil, nil
	k.forget()
}

// take gives the keeper a part. It does not wait.
func (k *keeper) take(c capture) {
	k.mu.Lock()
	k.queue = append(k.queue, c)
	if c.settled != nil {
		k.settling = true
		k.hurry()
	}
	k.mu.Unlock()
	select {
	case k.more <- struct{}{}:
	default:
	}
}

// abort says that a checkpoint was given up. What is being written for it is not wasted, as the next part has it, too, so it goes on; but
// not where the end of the task would wait for that.
func (k *keeper) abort(id checkpoint.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.aborted = max(k.aborted, id)
	k.hurry()
}

// hurry ends what no checkpoint waits for, if the end of the task does. k.mu is held.
func (k *keeper) hurry() {
	if k.settling && k.stop != nil && k.at <= k.aborted {
		k.stop()
	}
}

// begin begins a part, or to fold files, and returns the context of that.
func (k *keeper) begin(ctx context.Context, at checkpoint.ID) (context.Context, func()) {
	ctx, stop := context.WithCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.stop = at, stop
	k.hurry()
	return ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stop = nil
		stop()
	}
}

func (k *keeper) next() (capture, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 {
		return capture{}, false
	}
	c := k.queue[0]
	k.queue = k.queue[1:]
	return c, true
}

func (k *keeper) run(ctx context.Context) {
	for {
		c, ok := k.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-k.more:
			}
			continue
		}
		k.keep(ctx, c)
	}
}

// keep writes a part and acknowledges it.
func (k *keeper) keep(ctx context.Context, c capture) {
	if c.settled != nil {
		c.settled <- k.settle(ctx, &c)
		k.mu.Lock()
		k.settling = false
		k.mu.Unlock()
		return
	}
	k.now, k.watermarks = max(k.now, c.now), c.watermarks
	if c.frozen != nil {
		k.unwritten = append(k.unwritten, c.frozen)
	}
	making, done := k.begin(ctx, c.checkpoint)
	acknowledged := k.answer(making, &c, k.make(ctx, making, &c))
	done()
	if !acknowledged || c.part.Finished { // then there is no next part
		return
	}
	folding, done := k.begin(ctx, 0)
	defer done()
	if err := k.fold(folding); err != nil && folding.Err() == nil {
		k.log.Warn("fold the files of the task's state", "files", len(k.files), "error", err)
	}
}

// make makes all of a part durable: its output whatever becomes of making.
func (k *keeper) make(ctx, making context.Context, c *capture) error {
	begun := time.Now()
	if c.inFlight != nil {
		defer c.inFlight.Release()
	}
	if failpoint.Planted(failpoint.AckBeforeUpload) {
		k.ack(making, c.checkpoint, c.part, nil)
	}
	written, err := int64(0), making.Err()
	if err == nil {
		written, err = k.write(making)
	}
	if lost := k.settle(ctx, c); lost != nil {
		err = lost
	}
	c.part.Files, c.part.Versions = slices.Clone(k.files), k.survey()
	if err == nil {
		err = k.writeInFlight(making, c)
	}
	c.part.Figures.AsyncNs, c.part.Figures.Bytes = int64(time.Since(begun)), written
	return err
}

// answer says what has become of making a part, and whether it was acknowledged.
func (k *keeper) answer(making context.Context, c *capture, err error) (acknowledged bool) {
	switch {
	case errors.Is(err, errOvertaken):
	case making.Err() != nil || k.broken() != nil:
	case err != nil:
		k.log.Warn("checkpoint declined", "checkpoint", c.checkpoint, "error", err)
		k.ack(making, c.checkpoint, nil, &wire.Failure{Kind: wire.KindIO, Message: fmt.Sprintf("checkpoint %d: %v", c.checkpoint, err)})
	default:
		took, ok := c.trial.passed(making)
		if !ok {
			break
		}
		c.part.Figures.ExchangeNs = int64(took)
		k.ack(making, c.checkpoint, c.part, nil)
		return true
	}
	return false
}

// settle makes the output that the part names durable. Parts name what those before them have prepared, too: once some of
// it is lost nothing is acknowledged any more, and the task fails.
func (k *keeper) settle(ctx context.Context, c *capture) error {
	if err := k.broken(); err != nil {
		return err
	}
	err := c.settle.run(ctx)
	if err != nil {
		k.mu.Lock()
		k.lost = err
		k.mu.Unlock()
		k.nudge()
	}
	return err
}

// broken is why nothing of the task is acknowledged any more.
func (k *keeper) broken() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost
}

// fold makes one file of several, for the next part. The old ones stay until no retained checkpoint names them.
func (k *keeper) fold(ctx context.Context) error {
	if k.last != nil {
		defer k.forget()
		return k.writeWhole(ctx, k.last.Whole())
	}
	from := toFold(k.files)
	if from < 0 {
		return nil
	}
	old := k.files[from:]
	r, err := (&origin{store: k.store, dir: k.dir, log: k.log}).open(ctx, 0, old)
	if err != nil {
		return err
	}
	defer r.close()
	f, err := k.put(ctx, snapshot.MergeStates(r.readers), func(w *snapshot.Writer) error {
		return snapshot.Merge(w, snapshot.AllAhead(r.readers), snapshot.Folding{From: k.from, To: k.to, Base: from == 0, Now: k.now, Watermarks: k.watermarks})
	})
	if err != nil {
		return err
	}
	k.replace(from, f)
	return nil
}

// replace puts one file in the place of the last ones. Those that the store has, and nothing here needs any more, go.
func (k *keeper) replace(from int, f checkpoint.File) {
	old := k.files[from:]
	k.files = append(slices.Clip(k.files[:from]), f)
	for _, o := range old {
		_ = k.on.Remove(filepath.Join(k.dir, filepath.FromSlash(o.Name)))
	}
}

// write makes files of what is frozen, in its order, or one of all that the state has. What fails is left for the next time.
func (k *keeper) write(ctx context.Context) (written int64, err error) {
	k.forget()
	whole := k.whole()
	if whole != nil && replaces(k.files) {
		if err := k.writeWhole(ctx, whole); err != nil {
			return 0, err
		}
		for _, frozen := range k.unwritten {
			frozen.Release()
		}
		k.unwritten = nil
		return k.files[0].Size, nil
	}
	for len(k.unwritten) > 0 {
		frozen := k.unwritten[0]
		if len(frozen.States()) > 0 {
			f, err := k.writeFile(ctx, frozen)
			if err != nil && failpoint.Planted(failpoint.ForgetAborted) {
				k.unwritten = nil
			}
			if err != nil {
				return written, err
			}
			k.files = append(k.files, f)
			written += f.Size
		}
		if k.unwritten = k.unwritten[1:]; whole != nil && len(k.unwritten) == 0 {
			k.last = frozen
		} else {
			frozen.Release()
		}
	}
	return written, nil
}

// whole is all of the state as it was frozen last, if it can be written and the files that there are had better end.
func (k *keeper) whole() state.Frozen {
	n := len(k.unwritten)
	if n == 0 || !outgrown(k.files) {
		return nil
	}
	return k.unwritten[n-1].Whole()
}

// writeWhole makes a file of all of the state, which stands for all that there are.
func (k *keeper) writeWhole(ctx context.Context, whole state.Frozen) error {
	f, err := k.put(ctx, whole.States(), whole.Write)
	if err == nil {
		k.replace(0, f)
	}
	return err
}

// forget lets go of what would have been written whole.
func (k *keeper) forget() {
	if k.last != nil {
		k.last.Release()
		k.last = nil
	}
}

// writeFile makes one file, here and in the store, under a name that was never used: it may be that an earlier try came
// further than it seemed.
func (k *keeper) writeFile(ctx context.Context, frozen state.Frozen) (checkpoint.File, error) {
	return k.put(ctx, frozen.States(), frozen.Write)
}
