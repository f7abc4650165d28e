package jobmanager

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
)

// beginning is what a new job goes on from: another job's savepoint.
type beginning struct {
	path     string
	store    blob.Store
	manifest *checkpoint.Manifest
}

// beginAt reads the savepoint that a submission names, nil without one.
func (jm *JobManager) beginAt(ctx context.Context, s *api.Submit, g *graph.JobGraph) (*beginning, error) {
	if s.From == "" {
		if s.AllowDroppedState {
			return nil, api.Errorf(api.KindInvalid, "allowDroppedState: without from (there is no state)")
		}
		return nil, nil
	}
	if !jm.takesCheckpoints() {
		return nil, api.Errorf(api.KindInvalid, "from: jobs take no checkpoints here")
	}
	store, err := jm.config.OpenStore(ctx, s.From)
	if err != nil {
		return nil, placeError("from", err)
	}
	b := &beginning{path: s.From, store: store}
	if b.manifest, err = savepointfiles.Open(ctx, store); err == nil {
		err = asIncompatible(s.From, checkpoint.Compatible(&b.manifest.Graph, g, s.AllowDroppedState))
		if lost := b.manifest.CheckInFlight(g); err == nil && lost != nil {
			err = api.Errorf(api.KindConflict, "from: checkpoint %s: %s", s.From, lost).
				WithHint("run it with the module and the parallelism that it was taken with, and take a savepoint then")
		}
	} else {
		err = placeError("from: savepoint "+s.From, err)
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	checkpoint.Inherit(&b.manifest.Graph, g)
	return b, nil
}

func asIncompatible(path string, err error) error {
	var why *checkpoint.Incompatible
	if !errors.As(err, &why) {
		return err
	}
	e := api.Errorf(api.KindConflict, "from: savepoint %s: %s", path, why)
	if why.Dropped {
		return e.WithHint("give an operator the uid, or go on without that state: --allow-dropped-state")
	}
	return e.WithHint("run the module that has saved it, have the module migrate what has changed, or give the changed operator another uid and drop the state with --allow-dropped-state")
}

// splits has the sources go on in the splits of the savepoint, whose numbers its positions name.
func (b *beginning) splits(g *graph.JobGraph, sources map[int]connector.Splits) {
	for _, s := range b.manifest.Sources {
		for op := range sources {
			if g.Operators[op].UID == s.Operator {
				sources[op] = connector.Splits{Splits: s.Splits, Ordered: s.Ordered}
			}
		}
	}
}

// copyTo gives the job its own copy, as its first checkpoint: from then on the savepoint may be deleted. A file keeps its
// name, which holds the attempt that has written it, so the job's attempts begin behind all of these.
func (b *beginning) copyTo(ctx context.Context, jm *JobManager, r *jobRecord) (err error) {
	n, err := jm.config.Meta.Next(checkpointKey + string(r.ID))
	if err != nil {
		return storeError("take a checkpoint id", err)
	}
	to, err := jm.config.OpenStore(ctx, blob.Join(jm.config.Checkpoints.URL, string(r.ID)))
	if err != nil {
		return err
	}
	defer to.Close()
	var made []string
	defer func() {
		if err != nil {
			_ = to.Delete(context.WithoutCancel(ctx), made...)
		}
	}()
	m := *b.manifest
	r.Before = m.Attempt
	var size int64
	for _, f := range m.AllFiles() {
		made = append(made, f.Name)
		if err := copyFile(ctx, to, b.store, &f); err != nil {
			return api.Errorf(api.KindInvalid, "from: savepoint %s: %s", b.path, err)
		}
		size += f.Size
		if attempt, _, _, ok := checkpoint.ParseFileName(f.Name); ok {
			r.Before = max(r.Before, attempt)
		}
	}
	r.Attempt = r.Before
	m.Checkpoint, m.Kind, m.Job, m.Attempt = checkpoint.ID(n), checkpoint.Periodic, r.ID, r.Before
	data, sum, err := m.Encode()
	if err != nil {
		return err
	}
	made = append(made, checkpoint.ManifestName(m.Checkpoint))
	if err := to.Put(ctx, checkpoint.ManifestName(m.Checkpoint), bytes.NewReader(data), int64(len(data))); err != nil {
		return err
	}
	r.Checkpoints = []decided{{ID: m.Checkpoint, Sum: sum, Time: jm.config.Now(), Size: size}}
	r.Committed, r.Began = m.Checkpoint, true
	return nil
}

// copyFile copies a file of a savepoint, and holds it against its checksum on the way.
func copyFile(ctx context.Context, to, from blob.Store, f *checkpoint.File) error {
	o, err := from.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.Size() != f.Size {
		return fmt.Errorf("file %s: %d bytes (expected %d): damaged", f.Name, o.Size(), f.Size)
	}
	hash := sha256.New()
	if err := to.Put(ctx, f.Name, io.TeeReader(io.NewSectionReader(o, 0, o.Size()), hash), o.Size()); err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != f.Checksum {
		return fmt.Errorf("file %s: checksum %.12s (expected %.12s): damaged", f.Name, sum, f.Checksum)
	}
	return nil
}
