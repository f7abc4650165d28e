package savepoint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// Dispose deletes a savepoint: the seal first, so that what an interruption leaves is none. What is no savepoint is refused.
// Of a failed job all that it has left is deleted.
func Dispose(ctx context.Context, store blob.Store) (*checkpoint.Manifest, error) {
	seal, err := readSeal(ctx, store)
	if err != nil {
		return nil, err
	}
	var last *checkpoint.Manifest
	var names []string
	for _, c := range seal.All() {
		m, err := unseal(ctx, store, seal, c)
		if err != nil {
			return nil, err
		}
		for _, f := range m.AllFiles() {
			names = append(names, f.Name)
		}
		names = append(names, seal.ManifestName(c))
		last = m
	}
	if err := store.Delete(ctx, checkpoint.SealName); err != nil {
		return nil, err
	}
	slices.Sort(names)
	if err := store.Delete(ctx, slices.Compact(names)...); err != nil {
		return last, err
	}
	return last, blob.Sweep(ctx, store)
}

// ErrComplete refuses to delete a savepoint as one that is not.
var ErrComplete = errors.New("it is complete")

// Remains is what was deleted of a savepoint that was not completed.
type Remains struct {
	Files int
	Size  int64
}

// DisposeIncomplete deletes what is there of a savepoint that was not completed: files, and perhaps a manifest. Who calls it
// knows that nobody is about to complete it. A savepoint has a place of its own: where anything else lies nothing is deleted.
func DisposeIncomplete(ctx context.Context, store blob.Store) (gone Remains, err error) {
	if _, err := readSeal(ctx, store); err == nil {
		return gone, ErrComplete
	} else if !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrNone) {
		return gone, err
	}
	var names []string
	foreign := ""
	err = store.List(ctx, "", func(i blob.Info) bool {
		if _, _, _, ok := checkpoint.ParseFileName(i.Name); !ok && i.Name != checkpoint.SavepointManifest {
			foreign = i.Name
			return false
		}
		names = append(names, i.Name)
		gone.Files++
		gone.Size += i.Size
		return true
	})
	switch {
	case err != nil:
		return gone, err
	case foreign != "":
		return gone, fmt.Errorf("there is %s: %w", foreign, ErrNone)
	case len(names) == 0:
		return gone, ErrNone
	}
	if err := store.Delete(ctx, names...); err != nil {
		return gone, err
	}
	return gone, blob.Sweep(ctx, store) // a writer that was killed may have left a draft
}
