package taskmanager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
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

	mu    sync.Mutex
	queue []capture // guarded by mu
	lost  error     // why output of a part is not durable; guarded by mu

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
	k.mu.Unlock()
	select {
	case k.more <- struct{}{}:
	default:
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
		return
	}
	begun := time.Now()
	k.now, k.watermarks = max(k.now, c.now), c.watermarks
	if c.frozen != nil {
		k.unwritten = append(k.unwritten, c.frozen)
	}
	if failpoint.Planted(failpoint.AckBeforeUpload) {
		k.ack(ctx, c.checkpoint, c.part, nil)
	}
	written, err := k.write(ctx)
	if lost := k.settle(ctx, &c); lost != nil {
		err = lost
	}
	c.part.Files, c.part.Versions = slices.Clone(k.files), k.survey()
	if err == nil {
		err = k.writeInFlight(ctx, &c)
	}
	c.part.Figures.AsyncNs, c.part.Figures.Bytes = int64(time.Since(begun)), written
	switch {
	case errors.Is(err, errOvertaken):
	case ctx.Err() != nil || k.broken() != nil:
	case err != nil:
		k.log.Warn("checkpoint declined", "checkpoint", c.checkpoint, "error", err)
		k.ack(ctx, c.checkpoint, nil, &wire.Failure{Kind: wire.KindIO, Message: fmt.Sprintf("checkpoint %d: %v", c.checkpoint, err)})
	default:
		took, ok := c.trial.passed(ctx)
		if !ok {
			break
		}
		c.part.Figures.ExchangeNs = int64(took)
		k.ack(ctx, c.checkpoint, c.part, nil)
		if c.part.Finished {
			break // there is no next part
		}
		if err := k.fold(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("fold the files of the task's state", "files", len(k.files), "error", err)
		}
	}
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

func (k *keeper) put(ctx context.Context, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	k.number++
	return k.putAs(ctx, k.name(k.number), states, write)
}

// putAs makes a file of that name, here and in the store. On a machine whose disk is full it is in the store alone: what is
// kept here only saves time.
func (k *keeper) putAs(ctx context.Context, name string, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	path := filepath.Join(k.dir, filepath.FromSlash(name))
	info, err := writeLocal(k.on, path, name, states, write)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		k.log.Warn("no copy of a snapshot file is kept", "file", name, "error", err)
		return k.putStraight(ctx, name, states, write)
	}
	if err != nil {
		return checkpoint.File{}, err
	}
	failpoint.Hit(failpoint.AsyncUpload)
	local, err := os.Open(path)
	if err != nil {
		return checkpoint.File{}, err
	}
	defer local.Close()
	if err := k.store.Put(ctx, name, local, info.Size); err != nil {
		return checkpoint.File{}, errors.Join(err, k.on.Remove(path))
	}
	return k.file(name, states, info), nil
}

// putStraight makes a file in the store while it is written.
func (k *keeper) putStraight(ctx context.Context, name string, states []snapshot.State, write func(*snapshot.Writer) error) (checkpoint.File, error) {
	r, w := io.Pipe()
	var info snapshot.Info
	var writing sync.WaitGroup
	writing.Go(func() {
		var err error
		info, err = writeSnapshot(w, name, states, write)
		w.CloseWithError(err) // nil: it is whole
	})
	err := k.store.Put(ctx, name, r, -1)
	r.Close() // nobody reads on
	writing.Wait()
	if err != nil {
		return checkpoint.File{}, err
	}
	return k.file(name, states, info), nil
}

func (k *keeper) file(name string, states []snapshot.State, info snapshot.Info) checkpoint.File {
	k.note(name, states, info)
	return checkpoint.File{Name: name, Size: info.Size, Checksum: info.Checksum, Footer: info.Footer, From: k.from, To: k.to, Entries: info.Entries}
}

// writeLocal writes a snapshot file that only this process and those after it on this machine read.
func writeLocal(on durable.FS, path, name string, states []snapshot.State, write func(*snapshot.Writer) error) (info snapshot.Info, err error) {
	if err := durable.MakeDir(on, filepath.Dir(path), 0o700); err != nil {
		return info, err
	}
	f, err := on.Create(path, os.O_TRUNC, 0o600)
	if err != nil {
		return info, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = on.Remove(path)
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("write %s: the disk is full: %w", path, err)
		}
	}()
	if info, err = writeSnapshot(f, name, states, write); err != nil {
		return info, fmt.Errorf("write %s: %w", path, err)
	}
	return info, nil
}

func writeSnapshot(to io.Writer, name string, states []snapshot.State, write func(*snapshot.Writer) error) (info snapshot.Info, err error) {
	out := bufio.NewWriterSize(to, 256<<10)
	w := snapshot.NewWriter(out, states)
	w.SetName(name)
	if err := write(w); err != nil {
		return info, err
	}
	if info, err = w.Close(); err != nil {
		return info, err
	}
	return info, out.Flush()
}
