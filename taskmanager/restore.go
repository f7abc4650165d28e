package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// restored is the open files that a task goes on from.
type restored struct {
	objects  []blob.Object
	readers  []*snapshot.Reader
	end      context.CancelFunc // of what is read
	fetching *fetching
}

func (r *restored) close() {
	if r.end != nil {
		r.end()
	}
	if r.fetching != nil {
		r.fetching.stop()
	}
	for _, o := range r.objects {
		if o != nil {
			o.Close()
		}
	}
}

// opensAtOnce is how many files are opened at once: each may be some requests.
const opensAtOnce = 8

// origin is where the files of a restore are: in a directory of copies that a process on this machine has kept, and in the
// store. Files that are read lazily, block by block, are held against the checksums that stand in them when a block is
// read; of others a copy is held against the manifest's before it is taken.
type origin struct {
	store  blob.Store
	dir    string
	lazily bool
	room   func(n int64) error // nil: nothing is copied to the directory
	log    *slog.Logger
}

// origin is where the task's files are. With a budget of memory they are read as they are needed, and what lies on another
// machine is copied here, if the job may have the room.
func (t *task) origin(store blob.Store, dir string) *origin {
	a := t.attempt
	o := &origin{store: store, dir: dir, lazily: a.tm.config.State.Budget > 0, log: t.log}
	if o.lazily {
		o.room = (&spill.Space{Disk: a.tm.disk, Dir: dir, Quota: a.tm.config.State.Quota}).Check
	}
	return o
}

// open opens the files.
func (o *origin) open(ctx context.Context, id checkpoint.ID, files []checkpoint.File) (*restored, error) {
	r := &restored{objects: make([]blob.Object, len(files)), readers: make([]*snapshot.Reader, len(files))}
	ctx, r.end = context.WithCancel(ctx)
	var size int64
	for _, f := range files {
		size += f.Size
	}
	copied := o.room != nil && o.room(size) == nil
	var opening errgroup.Group
	opening.SetLimit(opensAtOnce)
	for i, f := range files {
		opening.Go(func() (err error) {
			if r.objects[i], r.readers[i], err = o.openFile(ctx, f, copied); err != nil {
				return damaged(id, f.Name, err)
			}
			return nil
		})
	}
	if err := opening.Wait(); err != nil {
		r.close()
		return nil, err
	}
	var distant []*fetched
	for _, object := range r.objects {
		if f, ok := object.(*fetched); ok {
			distant = append(distant, f)
		}
	}
	if len(distant) > 0 {
		r.fetching = startFetching(ctx, distant)
	}
	return r, nil
}

// openFile opens the kept copy of a file, if it is the file and, where that is looked at, whole; else the object.
func (o *origin) openFile(ctx context.Context, f checkpoint.File, copied bool) (blob.Object, *snapshot.Reader, error) {
	local, err := o.openLocal(f)
	if err == nil {
		var reader *snapshot.Reader
		if reader, err = openSnapshot(local, f); err == nil {
			return local, reader, nil
		}
		local.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		o.log.Warn("a kept copy is damaged; the store's is read", "file", f.Name, "error", err)
	}
	object, err := o.store.Open(ctx, f.Name)
	if err != nil {
		return nil, nil, err
	}
	if copied && blob.Distant(object) {
		if c, err := newFetched(object, o.dir); err == nil {
			object = c
		}
	}
	reader, err := openSnapshot(object, f)
	if err != nil {
		object.Close()
		return nil, nil, err
	}
	return object, reader, nil
}

// openSnapshot reads the footer of a file, which must be the one that is meant.
func openSnapshot(object blob.Object, f checkpoint.File) (*snapshot.Reader, error) {
	if object.Size() != f.Size {
		return nil, fmt.Errorf("%d bytes (expected %d): %w", object.Size(), f.Size, snapshot.ErrDamaged)
	}
	reader, err := snapshot.Open(object, object.Size())
	if err != nil {
		return nil, err
	}
	if reader.Name() != f.Name {
		return nil, fmt.Errorf("it is %s, under another name: %w", reader.Name(), snapshot.ErrDamaged)
	}
	if reader.Footer() != f.Footer && !failpoint.Planted(failpoint.TrustDamaged) {
		return nil, fmt.Errorf("it is another file of that name: %w", snapshot.ErrDamaged)
	}
	to := f.To
	if failpoint.Planted(failpoint.WrongKeyGroups) && to > f.From {
		to--
	}
	reader = reader.Cut(f.From, to).Of(f.Operators)
	if f.OwnTo > f.OwnFrom {
		reader = reader.OfOwner(f.OwnFrom, f.OwnTo)
	}
	return reader, nil
}

// localFile is a kept copy as an object.
type localFile struct {
	*os.File
	size int64
}

func (f localFile) Size() int64 { return f.size }

func (o *origin) openLocal(f checkpoint.File) (blob.Object, error) {
	file, err := os.Open(filepath.Join(o.dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return nil, err
	}
	size := f.Size
	if o.lazily {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil {
			size = info.Size()
		}
	} else if !failpoint.Planted(failpoint.TrustLocal) {
		var sum string
		if sum, err = snapshot.Sum(file, f.Size); err == nil && sum != f.Checksum {
			err = errors.New("another checksum")
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return localFile{file, size}, nil
}

// damaged is the failure of a task whose state cannot be read. A store that does not answer is another matter: it may
// answer the next time.
func damaged(id checkpoint.ID, name string, err error) error {
	f := &wire.Failure{Kind: wire.KindIO, Message: fmt.Sprintf("restore checkpoint %d: %s: %v", id, name, err)}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrDamaged) {
		f.Kind, f.File = wire.KindState, name
	}
	return f
}

// distrust removes the local copy of a file that was found to be damaged while the task ran. That was not the object in the
// store, which the next attempt reads instead. An object that was fetched may have been damaged on its way.
func (t *task) distrust(f wire.Failure) wire.Failure {
	a := t.attempt
	if f.Kind != wire.KindState || f.File == "" || a.tm.config.State.Budget == 0 { // without a budget it was read at once
		return f
	}
	local := filepath.Join(a.tm.config.StateDir, string(a.key.Job), filepath.FromSlash(f.File))
	removed := a.tm.config.Files.Remove(local) == nil
	if removed {
		t.log.Warn("a kept copy is damaged; the store's is read", "file", f.File, "error", f.Message)
	}
	if removed || t.sound(f.File) {
		f.Kind, f.File = wire.KindIO, ""
	}
	return f
}

// sound says whether an object that was fetched is what the manifest says of it.
func (t *task) sound(name string) bool {
	if !t.fetches {
		return false
	}
	a := t.attempt
	i := slices.IndexFunc(t.restore.Files, func(f checkpoint.File) bool { return f.Name == name })
	if i < 0 {
		return false
	}
	store, err := a.tm.config.OpenStore(a.ctx, a.checkpoints.Store)
	if err != nil {
		return false
	}
	defer store.Close()
	o, err := store.Open(a.ctx, name)
	if err != nil {
		return false
	}
	defer o.Close()
	sum, err := snapshot.Sum(io.NewSectionReader(o, 0, o.Size()), t.restore.Files[i].Size)
	return err == nil && sum == t.restore.Files[i].Checksum
}

// keyGroups are those that a subtask of the chain owns.
func (a *attempt) keyGroups(id graph.TaskID) (from, to graph.KeyGroup) {
	return graph.KeyGroupsOf(id.Subtask, a.exec.Chains[id.Chain].Parallelism, a.graph.MaxParallelism)
}
