package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// restored is the open files that a task goes on from.
type restored struct {
	objects []blob.Object
	readers []*snapshot.Reader
}

func (r *restored) close() {
	for _, o := range r.objects {
		o.Close()
	}
}

// openRestored opens the files of a restore: the copy that a process on this machine has kept, or the object itself. Files
// that are read lazily, block by block, are held against the checksums that stand in them when a block is read; of others
// a copy is held against the manifest's before it is taken.
func openRestored(ctx context.Context, store blob.Store, dir string, id checkpoint.ID, files []checkpoint.File, lazily bool) (*restored, error) {
	r := &restored{}
	for _, f := range files {
		if r.openLocal(dir, f, lazily) == nil {
			continue
		}
		object, err := store.Open(ctx, f.Name)
		if err == nil {
			err = r.open(object, f)
		}
		if err != nil {
			r.close()
			return nil, damaged(id, f.Name, err)
		}
	}
	return r, nil
}

// open reads the footer of a file, which is closed with the others, or now if it is not the one that is meant.
func (r *restored) open(object blob.Object, f checkpoint.File) error {
	if err := r.read(object, f); err != nil {
		object.Close()
		return err
	}
	r.objects = append(r.objects, object)
	return nil
}

// read is open of an object that its caller closes.
func (r *restored) read(object blob.Object, f checkpoint.File) error {
	if object.Size() != f.Size {
		return fmt.Errorf("%d bytes (expected %d): %w", object.Size(), f.Size, snapshot.ErrDamaged)
	}
	reader, err := snapshot.Open(object, object.Size())
	if err != nil {
		return err
	}
	if reader.Name() != f.Name {
		return fmt.Errorf("it is %s, under another name: %w", reader.Name(), snapshot.ErrDamaged)
	}
	if reader.Footer() != f.Footer && !failpoint.Planted(failpoint.TrustDamaged) {
		return fmt.Errorf("it is another file of that name: %w", snapshot.ErrDamaged)
	}
	to := f.To
	if failpoint.Planted(failpoint.WrongKeyGroups) && to > f.From {
		to--
	}
	r.readers = append(r.readers, reader.Cut(f.From, to))
	return nil
}

// localFile is a kept copy as an object.
type localFile struct {
	*os.File
	size int64
}

func (f localFile) Size() int64 { return f.size }

// openLocal opens the kept copy of a file, if it is whole.
func (r *restored) openLocal(dir string, f checkpoint.File, lazily bool) error {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return err
	}
	size := f.Size
	if lazily {
		info, err := file.Stat()
		if err != nil {
			file.Close()
			return err
		}
		size = info.Size()
	} else if !failpoint.Planted(failpoint.TrustLocal) {
		sum, err := snapshot.Sum(file, f.Size)
		if err == nil && sum != f.Checksum {
			err = errors.New("another checksum")
		}
		if err != nil {
			file.Close()
			return err
		}
	}
	return r.open(localFile{file, size}, f)
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
// store, which the next attempt reads instead.
func (t *task) distrust(f wire.Failure) wire.Failure {
	a := t.attempt
	if f.Kind != wire.KindState || f.File == "" || a.tm.config.State.Budget == 0 { // without a budget it was read at once
		return f
	}
	local := filepath.Join(a.tm.config.StateDir, string(a.key.Job), filepath.FromSlash(f.File))
	if a.tm.config.Files.Remove(local) == nil {
		f.Kind, f.File = wire.KindIO, ""
	}
	return f
}

// keyGroups are those that a subtask of the chain owns.
func (a *attempt) keyGroups(id graph.TaskID) (from, to graph.KeyGroup) {
	return graph.KeyGroupsOf(id.Subtask, a.exec.Chains[id.Chain].Parallelism, a.graph.MaxParallelism)
}
