// Package savepoint reads and deletes savepoints where they lie: a manifest, its seal and its files in a store of their
// own. It needs no cluster. How one is made is the JobMaster's business; what stands in a file is package snapshot's.
package savepoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// What a directory is that is no savepoint.
var (
	ErrNone       = errors.New("it is no savepoint")
	ErrIncomplete = errors.New("it was not completed")
)

// Open reads the manifest of a savepoint against its seal.
func Open(ctx context.Context, store blob.Store) (*checkpoint.Manifest, error) {
	manifest, err := blob.Read(ctx, store, checkpoint.SavepointManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: %w", checkpoint.SavepointManifest, ErrNone)
	} else if err != nil {
		return nil, err
	}
	seal, err := blob.Read(ctx, store, checkpoint.SealName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: %w", checkpoint.SealName, ErrIncomplete)
	} else if err != nil {
		return nil, err
	}
	return checkpoint.Unseal(seal, manifest)
}

// Dispose deletes a savepoint: the seal first, so that what an interruption leaves is none. What is no savepoint is refused.
func Dispose(ctx context.Context, store blob.Store) (*checkpoint.Manifest, error) {
	m, err := Open(ctx, store)
	if err != nil {
		return nil, err
	}
	if err := store.Delete(ctx, checkpoint.SealName); err != nil {
		return nil, err
	}
	var names []string
	for _, f := range m.AllFiles() {
		names = append(names, f.Name)
	}
	return m, store.Delete(ctx, append(names, checkpoint.SavepointManifest)...)
}
