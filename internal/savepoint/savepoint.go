// Package savepoint reads and deletes savepoints where they lie: a manifest, its seal and its files in a store of their
// own. It needs no cluster. How one is made is the JobMaster's business; what stands in a file is package snapshot's.
package savepoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
)

// What a directory is that is no savepoint.
var (
	ErrNone       = errors.New("it is no savepoint")
	ErrIncomplete = errors.New("it was not completed")
)

// Open reads the manifest of a savepoint against its seal; of all that a failed job has left, the newest.
func Open(ctx context.Context, store blob.Store) (*checkpoint.Manifest, error) {
	seal, err := readSeal(ctx, store)
	if err != nil {
		return nil, err
	}
	all := seal.All()
	return unseal(ctx, store, seal, all[len(all)-1])
}

// OpenAt is Open of one of those that a failed job has left, or of the newest, if there is none of that number.
func OpenAt(ctx context.Context, store blob.Store, id checkpoint.ID) (*checkpoint.Manifest, error) {
	seal, err := readSeal(ctx, store)
	if err != nil {
		return nil, err
	}
	all := seal.All()
	c := all[len(all)-1]
	if i := slices.IndexFunc(all, func(c checkpoint.Sealed) bool { return c.Checkpoint == id }); i >= 0 {
		c = all[i]
	}
	return unseal(ctx, store, seal, c)
}

// OpenWhole opens the newest that is whole of all that a failed job has left, and says whether output was committed since.
// It reads them to see; a savepoint is not read, there is nothing to choose.
func OpenWhole(ctx context.Context, store blob.Store) (m *checkpoint.Manifest, repeats bool, err error) {
	seal, err := readSeal(ctx, store)
	if err != nil {
		return nil, false, err
	}
	all := seal.All()
	if len(all) == 1 {
		m, err := unseal(ctx, store, seal, all[0])
		return m, false, err
	}
	var damage error // of the newest
	for _, c := range slices.Backward(all) {
		m, fault, err := whole(ctx, store, seal, c)
		if err != nil {
			return nil, false, err
		}
		if fault == nil {
			return m, repeats, nil
		}
		if damage == nil {
			damage = fault
		}
		repeats = repeats || c.Output
	}
	return nil, false, fmt.Errorf("none of %d checkpoints is whole: %w", len(all), damage)
}

// whole reads every byte of a checkpoint. What is damaged or missing is a fault; an error is another matter.
func whole(ctx context.Context, store blob.Store, seal *checkpoint.Seal, c checkpoint.Sealed) (m *checkpoint.Manifest, fault, err error) {
	m, err = unseal(ctx, store, seal, c)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) {
		return nil, err, nil
	} else if err != nil {
		return nil, nil, err
	}
	for _, f := range m.AllFiles() {
		if damage, err := VerifyFile(ctx, store, &f); err != nil {
			return nil, nil, err
		} else if damage != nil {
			return nil, fmt.Errorf("file %s: %s", damage.File, damage.Fault), nil
		}
	}
	return m, nil, nil
}

// readSeal reads the seal, without which there is no savepoint.
func readSeal(ctx context.Context, store blob.Store) (*checkpoint.Seal, error) {
	data, err := blob.Read(ctx, store, checkpoint.SealName)
	if err == nil {
		return checkpoint.DecodeSeal(data)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := blob.Read(ctx, store, checkpoint.SavepointManifest); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: %w", checkpoint.SavepointManifest, ErrNone)
	} else if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no %s: %w", checkpoint.SealName, ErrIncomplete)
}

// unseal reads the manifest of one of the checkpoints that are sealed.
func unseal(ctx context.Context, store blob.Store, seal *checkpoint.Seal, c checkpoint.Sealed) (*checkpoint.Manifest, error) {
	name := seal.ManifestName(c)
	manifest, err := blob.Read(ctx, store, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: %w", name, err)
	} else if err != nil {
		return nil, err
	}
	m, err := seal.Unseal(c, manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}
