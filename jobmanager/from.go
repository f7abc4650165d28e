package jobmanager

import (
	"context"
	"errors"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
)

// beginning is what a new job goes on from: another job's savepoint. Its files are copied when the job is stored (see
// adopt).
type beginning struct {
	path     string
	manifest *checkpoint.Manifest
	repeats  bool // it is an older checkpoint of a failed job: output that was committed since is seen again
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
	if err := absolute("from", s.From); err != nil {
		return nil, err
	}
	store, err := jm.openThere(ctx, s.From)
	if err != nil {
		return nil, placeError("from: savepoint "+s.From, err)
	}
	defer store.Close()
	b := &beginning{path: s.From}
	if s.AllowRewind {
		b.manifest, b.repeats, err = savepointfiles.OpenWhole(ctx, store)
	} else {
		b.manifest, err = savepointfiles.Open(ctx, store)
	}
	if err == nil {
		err = asIncompatible(s.From, checkpoint.Compatible(&b.manifest.Graph, g, s.AllowDroppedState))
		if lost := b.manifest.CheckInFlight(g); err == nil && lost != nil {
			err = api.Errorf(api.KindConflict, "from: checkpoint %s: %s", s.From, lost).
				WithHint("run it with the module and the parallelism that it was taken with, and take a savepoint then")
		}
	} else {
		err = placeError("from: savepoint "+s.From, err)
	}
	if err != nil {
		return nil, err
	}
	if err := jm.keepsInput(ctx, &b.manifest.Graph, g, "from: savepoint "+s.From+": "); err != nil {
		return nil, err
	}
	checkpoint.Inherit(&b.manifest.Graph, g)
	return b, nil
}

// openThere opens a store that is only read, and so is not made.
func (jm *JobManager) openThere(ctx context.Context, url string) (blob.Store, error) {
	if jm.config.StoreThere != nil {
		if err := jm.config.StoreThere(url); err != nil {
			return nil, err
		}
	}
	return jm.config.OpenStore(ctx, url)
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
	return e.WithHint("run the module that has saved it, have the module migrate what has changed in a state, or give an operator that has changed otherwise another uid and drop the state with --allow-dropped-state")
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

// begin has the job go on from there. Its attempts begin behind those that have written what it takes over: a file keeps
// its name, which holds its attempt.
func (b *beginning) begin(jm *JobManager, r *jobRecord) error {
	n, err := jm.config.Meta.Next(checkpointKey + string(r.ID))
	if err != nil {
		return storeError("take a checkpoint id", err)
	}
	r.Origin = &origin{Path: b.path, Job: b.manifest.Job, Savepoint: b.manifest.Checkpoint, Checkpoint: checkpoint.ID(n)}
	r.Before, r.Broken = b.manifest.Attempt, b.repeats
	for _, f := range b.manifest.AllFiles() {
		r.Origin.Size += f.Size
		if attempt, _, _, ok := checkpoint.ParseFileName(f.Name); ok {
			r.Before = max(r.Before, attempt)
		}
	}
	r.Attempt = r.Before
	return nil
}
