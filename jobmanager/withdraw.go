package jobmanager

import (
	"context"
	"errors"
	"io/fs"

	"github.com/wasmill/wasmill/internal/checkpoint"
	savepointfiles "github.com/wasmill/wasmill/internal/savepoint"
)

// What becomes of a savepoint whose attempt ends while it is stored: nothing of it stays, and then who waits for it is told.

// withdrawal is a checkpoint that was being stored when its attempt ended, and who waits for it.
type withdrawal struct {
	to    chan<- answer
	cause string
}

// withdraw removes a savepoint whose storing has ended behind its attempt, and answers who waits for it.
func (c *checkpoints) withdraw(e evManifest) {
	if _, asked := c.withdrawn[e.decided.ID]; !asked {
		return
	}
	c.job.later(func(ctx context.Context) event {
		if e.savepoint != nil && e.err == nil { // else what was copied is deleted
			if err := c.job.removeSavepoint(ctx, e.savepoint.Path); err != nil && !errors.Is(err, savepointfiles.ErrNone) {
				c.job.log.Warn("remove a savepoint that was not completed", "path", e.savepoint.Path, "err", err)
			}
		}
		return evWithdrawn{e.decided.ID}
	})
}

// answerWithdrawn answers who waits for a savepoint of which nothing is left.
func (c *checkpoints) answerWithdrawn(id checkpoint.ID) {
	w := c.withdrawn[id]
	delete(c.withdrawn, id)
	w.to <- answer{id: id, cause: w.cause}
}

// withdrawAll waits, when the job has ended, for the savepoints that its end has come before.
func (c *checkpoints) withdrawAll(ctx context.Context) {
	for len(c.withdrawn) > 0 {
		select {
		case <-ctx.Done():
			return
		case m := <-c.job.mailbox:
			switch e := m.e.(type) {
			case evManifest:
				c.withdraw(e)
			case evWithdrawn:
				c.answerWithdrawn(e.id)
			}
		}
	}
}

func (j *jobMaster) removeSavepoint(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	store, err := j.jm.openThere(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was copied yet
	}
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = savepointfiles.DisposeIncomplete(ctx, store)
	return err
}
