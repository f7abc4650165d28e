package savepoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
)

// Verified is what reading a savepoint from end to end has shown.
type Verified struct {
	Manifest *checkpoint.Manifest `json:"-"`
	Files    int                  `json:"files"`
	Size     int64                `json:"size"`
	Faults   []checkpoint.Fault   `json:"faults"` // none: a job can go on from it
}

// Verify reads every byte of a savepoint, and names all that is damaged, not the first fault alone.
func Verify(ctx context.Context, store blob.Store) (*Verified, error) {
	m, err := Open(ctx, store)
	if err != nil {
		return nil, err
	}
	v := &Verified{Manifest: m, Faults: []checkpoint.Fault{}}
	for _, f := range m.AllFiles() {
		fault, err := VerifyFile(ctx, store, &f)
		if err != nil {
			return nil, err
		}
		if fault != nil {
			v.Faults = append(v.Faults, *fault)
		}
		v.Files++
		v.Size += f.Size
	}
	return v, nil
}

// VerifyFile reads a file whole and holds it against its manifest; nil: it is what was written. An error says that it could
// not be read now, which is another matter.
func VerifyFile(ctx context.Context, store blob.Store, f *checkpoint.File) (*checkpoint.Fault, error) {
	fault := func(err error) *checkpoint.Fault { return &checkpoint.Fault{File: f.Name, Fault: err.Error()} }
	o, err := store.Open(ctx, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return fault(errors.New("there is no such file")), nil
	} else if err != nil {
		return nil, fmt.Errorf("file %s: %w", f.Name, err)
	}
	defer o.Close()
	_, err = verified(o, f)
	switch {
	case err == nil:
		return nil, ctx.Err()
	case errors.Is(err, snapshot.ErrDamaged), errors.Is(err, snapshot.ErrUnsupported):
		return fault(err), nil
	}
	return nil, fmt.Errorf("file %s: %w", f.Name, err)
}
