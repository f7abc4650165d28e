package jobmanager

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// A job that goes on from a savepoint makes a copy of it its first checkpoint, and so depends on nobody's files but its own.
// It does so in the background, before it asks for slots. What is there already, from a JobManager that was killed
// meanwhile, is held against its checksum and not copied again.

// adoption is the copying that runs, if any.
type adoption struct {
	copied   atomic.Int64 // bytes that are there
	hindered string       // guarded by the job's mu: why it does not go on for now
	running  sync.WaitGroup
	cancel   context.CancelFunc // set by the loop before the first copying
}

// stop ends it, and waits. What it has made stays.
func (a *adoption) stop() {
	if a.cancel != nil {
		a.cancel()
	}
	a.running.Wait()
}

// adopt copies until all is there, or the savepoint is not what it should be.
func (j *jobMaster) adopt() {
	a := &j.adoption
	ctx, cancel := context.WithCancel(j.jm.ctx)
	a.cancel = cancel
	from, before := *j.record.Origin, j.record.Before
	a.running.Add(1)
	j.later(func(context.Context) event {
		defer a.running.Done()
		defer cancel()
		for wait := commitRetry; ; wait = min(2*wait, commitRetryMax) {
			first, err := j.copyOrigin(ctx, &from, before)
			if ctx.Err() != nil {
				return nil // the job has ended, or its JobManager
			}
			j.hinder(err)
			switch {
			case err == nil:
				return evCopied{*first}
			case slices.ContainsFunc(lasting, func(e error) bool { return errors.Is(err, e) }):
				if err := j.dropCheckpoints(ctx); err != nil {
					j.log.Warn("delete what was copied of a savepoint", "err", err)
				}
				return evUnrestorable{&wire.Failure{Kind: wire.KindState, Message: fmt.Sprintf("go on from savepoint %s: %s", from.Path, err),
					Hint: "run the job from another savepoint, or from a copy of this one that is whole: `wasmill savepoint show` reads all of it. What a failed job has left may hold an older checkpoint that is: --allow-rewind"}}
			}
			j.log.Warn("copy the savepoint that the job goes on from", "path", from.Path, "err", err)
			if !pause(ctx, wait) {
				return nil
			}
		}
	})
}

// hinder notes why the copy does not go on, nil for nothing.
func (j *jobMaster) hinder(err error) {
	j.mu.Lock()
	j.adoption.hindered = ""
	if err != nil {
		j.adoption.hindered = err.Error()
	}
	j.mu.Unlock()
	j.changed()
}

// lasting are errors that do not go away by themselves. A store that does not answer, or is full, is another matter.
var lasting = []error{
	snapshot.ErrDamaged, checkpoint.ErrDamaged, fs.ErrNotExist, savepointfiles.ErrNone, savepointfiles.ErrIncomplete, errOther,
}

// errOther says that another savepoint lies where that of the job lay.
var errOther = errors.New("another savepoint lies there now")

// copyOrigin makes the copy, and answers what it is as a checkpoint.
func (j *jobMaster) copyOrigin(ctx context.Context, o *origin, before graph.Attempt) (*decided, error) {
	from, err := j.jm.openThere(ctx, o.Path)
	if err != nil {
		return nil, fmt.Errorf("open it: %w", err)
	}
	defer from.Close()
	m, err := savepointfiles.OpenAt(ctx, from, o.Savepoint)
	switch {
	case err != nil:
		return nil, err
	case m.Job != o.Job || m.Checkpoint != o.Savepoint:
		return nil, fmt.Errorf("#%d of job %s (expected #%d of job %s): %w", m.Checkpoint, m.Job, o.Savepoint, o.Job, errOther)
	}
	to, err := j.openStore(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", j.storeURL(), err)
	}
	defer to.Close()
	j.adoption.copied.Store(0)
	for _, f := range m.AllFiles() {
		if err := adoptFile(ctx, to, from, &f, &j.adoption.copied); err != nil {
			return nil, fmt.Errorf("file %s: %w", f.Name, err)
		}
		failpoint.Hit(failpoint.Adopting)
		j.changed()
	}
	m.Checkpoint, m.Kind, m.Job, m.Attempt = o.Checkpoint, checkpoint.Periodic, j.id, before
	data, sum, err := m.Encode()
	if err != nil {
		return nil, err
	}
	name := checkpoint.ManifestName(m.Checkpoint)
	if err := to.Delete(ctx, name); err != nil { // of a copy that another version of this program has made
		return nil, err
	}
	if err := to.Put(ctx, name, bytes.NewReader(data), int64(len(data))); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return &decided{ID: m.Checkpoint, Sum: sum, Time: j.jm.config.Now(), Size: o.Size}, nil
}

// adoptFile copies a file, unless it is there. A copy that is not what the manifest says is removed.
func adoptFile(ctx context.Context, to, from blob.Store, f *checkpoint.File, copied *atomic.Int64) error {
	before := copied.Load()
	have, err := to.Open(ctx, f.Name)
	switch {
	case err == nil:
		r := newChecked(have, f, copied)
		_, err = io.Copy(io.Discard, r)
		have.Close()
		if err == nil && r.whole() == nil {
			return nil
		}
		copied.Store(before)
		if err := to.Delete(ctx, f.Name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	o, err := from.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer o.Close()
	r := newChecked(o, f, copied)
	if o.Size() == f.Size {
		if err := to.Put(ctx, f.Name, r, f.Size); err != nil {
			return err
		}
	}
	if err := r.whole(); err != nil {
		return errors.Join(err, to.Delete(ctx, f.Name))
	}
	return nil
}

// checked reads a file, and holds it against what the manifest says of it.
type checked struct {
	io.Reader
	file *checkpoint.File
	size int64
	sum  hash.Hash
}

func newChecked(o blob.Object, f *checkpoint.File, copied *atomic.Int64) *checked {
	c := &checked{file: f, size: o.Size(), sum: sha256.New()}
	c.Reader = io.TeeReader(io.NewSectionReader(o, 0, c.size), io.MultiWriter(c.sum, counter{copied}))
	return c
}

// whole is nil when what was read is the file.
func (c *checked) whole() error {
	if c.size != c.file.Size {
		return fmt.Errorf("%d bytes (expected %d): %w", c.size, c.file.Size, snapshot.ErrDamaged)
	}
	if sum := hex.EncodeToString(c.sum.Sum(nil)); sum != c.file.Checksum {
		return fmt.Errorf("checksum %.12s (expected %.12s): %w", sum, c.file.Checksum, snapshot.ErrDamaged)
	}
	return nil
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// began says whether the job goes on from a savepoint, whose copy is its first checkpoint.
func (r *jobRecord) began() bool { return r.Origin != nil }
