package connector

import (
	"context"
	"errors"
)

// ErrGone is what a commit that cannot succeed is refused for: what was prepared is not there any more, or is not what was
// written. Sinks return errors that are it, so that it can be told from what may pass (a full disk, a name that is taken).
// Trying again helps only if somebody puts it back.
var ErrGone = errors.New("what was prepared is gone")

// Gone returns err, as one that is ErrGone.
func Gone(err error) error { return gone{err} }

type gone struct{ error }

func (g gone) Unwrap() error        { return g.error }
func (g gone) Is(target error) bool { return target == ErrGone }

// Obstacle is what keeps one thing that was prepared from being committed.
type Obstacle struct {
	Prepared int    // its place among what was asked about
	Name     string // of what would be visible: "/out/part-7f3a9c-4-0-0"
	Err      error  // ErrGone, if that lasts
}

// Examiner is an optional interface of a sink that knows without trying what a commit would be refused for.
type Examiner interface {
	// Examine looks at what was prepared as Commit does, and changes nothing.
	Examine(ctx context.Context, job string, checkpoint uint64, prepared []Committable) ([]Obstacle, error)
}
