package file

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/text"
	"github.com/wasmill/wasmill/internal/durable"
)

// Bounds of what a writer holds.
const (
	maxOpen     = 128    // files; one more, and the one that was not written to for longest is ended
	maxFiles    = 10_000 // between two checkpoints, whose record names each of them
	bufferBytes = 128 << 10
	smallBytes  = 32 << 10 // of a buffer when there may be many
)

// writer appends records to pending files: one for each partition that it has met lately. A file is ended by a checkpoint,
// when it is large or old enough, or to make room for another; a record that then comes for its partition begins a new one.
type writer struct {
	sink    *Sink
	keys    *text.Format
	values  content
	changes *changes // nil: it writes values as they are
	task    connector.SinkTask
	dir     string

	n       int                 // files so far
	open    map[string]*pending // by partition
	current *pending            // that was written to last, nil: none or it is ended
	turns   uint64
	rollAt  time.Time  // before that none of them is too old; zero: none ever
	done    []*pending // ended, and not given to be committed
	syncs   syncs
	buffers []*bufio.Writer // not in use
	id      []byte
}

func newWriter(s *Sink, task connector.SinkTask, dir string, keys *text.Format, values content) *writer {
	return &writer{
		sink: s, keys: keys, values: values, task: task, dir: dir,
		open: map[string]*pending{}, syncs: syncs{slots: make(chan struct{}, maxSyncs)},
	}
}

// Write appends the batch's records.
func (w *writer) Write(b *abi.Batch, now time.Time) (time.Time, error) {
	if err := w.syncs.failure(); err != nil {
		return time.Time{}, err
	}
	if err := w.rollOld(now); err != nil {
		return time.Time{}, err
	}
	for i := range b.N {
		f, err := w.fileOf(b, i, now)
		if err != nil {
			return time.Time{}, err
		}
		value := b.Value(i)
		if w.changes != nil {
			if value, err = w.changes.of(b, i); err != nil {
				return time.Time{}, unfit(err)
			}
		}
		if err := f.body.add(value); err != nil {
			return time.Time{}, err
		}
		f.c.Rows++
		if w.sink.rollSize > 0 && f.c.Bytes >= w.sink.rollSize {
			if err := w.end(f); err != nil {
				return time.Time{}, err
			}
		}
	}
	return time.Time{}, nil
}

// fileOf is the file that record i belongs to.
func (w *writer) fileOf(b *abi.Batch, i int, now time.Time) (*pending, error) {
	w.id = w.sink.partitions.identify(w.id[:0], b, i)
	f := w.current
	if f != nil && f.id == string(w.id) {
		return f, nil
	}
	w.turns++
	if f = w.open[string(w.id)]; f == nil {
		var err error
		if f, err = w.begin(string(w.id), now); err != nil {
			return nil, err
		}
	}
	f.used, w.current = w.turns, f
	return f, nil
}

// begin makes the next file.
func (w *writer) begin(id string, now time.Time) (*pending, error) {
	if len(w.open)+len(w.done) >= maxFiles {
		return nil, &connector.Error{
			Op: opSink, Err: fmt.Errorf("output directory %s: a subtask has begun %d files since the last checkpoint (expected fewer)", w.dir, maxFiles),
			Hint: "partition by less, roll less often, or take checkpoints more often",
		}
	}
	if len(w.open) >= maxOpen {
		oldest := slices.MinFunc(slices.Collect(maps.Values(w.open)), func(a, b *pending) int { return cmp.Compare(a.used, b.used) })
		if err := w.end(oldest); err != nil {
			return nil, err
		}
	}
	path, err := w.sink.partitions.path([]byte(id), w.keys)
	if err != nil {
		return nil, unfit(fmt.Errorf("partition: %w", err))
	}
	f := &pending{id: id, began: now, c: committable{
		Dir: w.dir, Partition: path, Subtask: w.task.Subtask, N: w.n, Pending: pendingName(w.task.Job, w.task.Attempt, w.task.Subtask, w.n),
	}}
	if f.file, err = create(w.sink.on, f.c); err != nil {
		return nil, err
	}
	w.n++
	f.out = w.buffer(f.file)
	w.open[id] = f
	if f.body, err = w.values.begin(f); err != nil {
		return nil, err
	}
	if d := w.sink.rollInterval; d > 0 && w.rollAt.IsZero() {
		w.rollAt = now.Add(d)
	}
	return f, nil
}

func (w *writer) buffer(to durable.File) *bufio.Writer {
	if n := len(w.buffers); n > 0 {
		out := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		out.Reset(to)
		return out
	}
	if w.sink.partitions != nil {
		return bufio.NewWriterSize(to, smallBytes)
	}
	return bufio.NewWriterSize(to, bufferBytes)
}

// rollOld ends the files that are old enough. A file that nothing is written to is not looked for: it is not visible before
// the next checkpoint, which ends it.
func (w *writer) rollOld(now time.Time) error {
	if w.rollAt.IsZero() || now.Before(w.rollAt) {
		return nil
	}
	w.rollAt = time.Time{}
	for _, f := range w.inOrder() {
		until := f.began.Add(w.sink.rollInterval)
		if now.Before(until) {
			w.rollAt = until // the others are younger
			break
		}
		if err := w.end(f); err != nil {
			return err
		}
	}
	return nil
}

// inOrder are the open files in the order in which they were begun.
func (w *writer) inOrder() []*pending {
	return slices.SortedFunc(maps.Values(w.open), func(a, b *pending) int { return cmp.Compare(a.c.N, b.c.N) })
}

// end ends a file. It becomes durable meanwhile.
func (w *writer) end(f *pending) error {
	if err := f.body.end(); err != nil {
		return err
	}
	if err := f.out.Flush(); err != nil {
		return failed("write", f.path(), err)
	}
	delete(w.open, f.id)
	if w.current == f {
		w.current = nil
	}
	w.buffers = append(w.buffers, f.out)
	f.out = nil
	w.done = append(w.done, f)
	w.syncs.add(f)
	return nil
}

// Prepare ends all files. They become durable beside the task.
func (w *writer) Prepare(context.Context) ([]connector.Committable, connector.Settle, error) {
	w.rollAt = time.Time{}
	for _, f := range w.inOrder() {
		if err := w.end(f); err != nil {
			return nil, nil, err
		}
	}
	if err := w.syncs.failure(); err != nil {
		return nil, nil, err
	}
	if len(w.done) == 0 {
		return nil, nil, nil
	}
	if err := w.makeDirs(); err != nil {
		return nil, nil, err
	}
	var prepared []connector.Committable
	for _, f := range w.done {
		data, err := json.Marshal(f.c)
		if err != nil {
			return nil, nil, fmt.Errorf("file sink: prepare %s: %w", f.path(), err)
		}
		prepared = append(prepared, connector.Committable{Data: data})
	}
	done := w.done
	w.done = nil
	return prepared, func(context.Context) error { return w.settle(done) }, nil
}

// settle waits until files are durable, and makes their names so. Any goroutine may call it.
func (w *writer) settle(files []*pending) error {
	for _, f := range files {
		<-f.synced
	}
	if err := w.syncs.failure(); err != nil {
		return err
	}
	if err := w.sink.on.SyncDir(w.dir); err != nil {
		return failed("sync", w.dir, err)
	}
	return nil
}

// makeDirs makes the directories of what is ended, before anything is decided: what stands in the way fails the attempt,
// and not the commit.
func (w *writer) makeDirs() error {
	made := map[string]bool{"": true}
	for _, f := range w.done {
		if made[f.c.Partition] {
			continue
		}
		made[f.c.Partition] = true
		if err := durable.MakeDir(w.sink.on, f.c.place(), 0o777); err != nil {
			return unwritable(f.c.place(), err, true)
		}
	}
	return nil
}

// Close removes the files that were not prepared.
func (w *writer) Close() error {
	w.syncs.wg.Wait()
	var errs []error
	for _, f := range append(w.done, w.inOrder()...) {
		errs = append(errs, f.remove(w.sink.on))
	}
	w.done, w.open, w.current = nil, map[string]*pending{}, nil
	return errors.Join(errs...)
}
