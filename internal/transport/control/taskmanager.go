package control

import (
	"context"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/wire"
)

// TaskManager is what a TaskManager answers to its JobManager. Calls come from many goroutines; ctx ends when the caller
// gives up. A refusal is a *wire.Failure, and then nothing was done.
type TaskManager interface {
	Deploy(ctx context.Context, m *wire.Deploy) error
	Cancel(ctx context.Context, m *wire.Cancel) error
	Commit(ctx context.Context, m *wire.Commit) error
	Examine(ctx context.Context, m *wire.Commit) (*wire.Examined, error)
	Prepare(ctx context.Context, m *wire.Prepare) error
	Trigger(ctx context.Context, m *wire.Trigger) error
	Conclude(ctx context.Context, m *wire.Conclude) error
	Logs(ctx context.Context, job graph.JobID, after time.Time, max int) ([]wire.LogLine, error)
}

// logsRequest asks for at most Max lines of a job after a time.
type logsRequest struct {
	Job   graph.JobID `json:"job"`
	After time.Time   `json:"after"`
	Max   int         `json:"max"`
}

// TaskManagerHandler answers what a TaskManagerClient asks.
func TaskManagerHandler(tm TaskManager) *Handler {
	h := newHandler()
	handle(h, "deploy", command(tm.Deploy))
	handle(h, "cancel", command(tm.Cancel))
	handle(h, "commit", command(tm.Commit))
	handle(h, "examine", tm.Examine)
	handle(h, "prepare", command(tm.Prepare))
	handle(h, "trigger", command(tm.Trigger))
	handle(h, "conclude", command(tm.Conclude))
	handle(h, "logs", func(ctx context.Context, q *logsRequest) (*[]wire.LogLine, error) {
		lines, err := tm.Logs(ctx, q.Job, q.After, q.Max)
		return &lines, err
	})
	return h
}

// TaskManagerClient calls a TaskManager in another process.
type TaskManagerClient struct{ client }

// NewTaskManagerClient returns a client of the TaskManager whose endpoint listens on addr. It connects at the first call.
func NewTaskManagerClient(e *transport.Endpoint, addr string) *TaskManagerClient {
	return &TaskManagerClient{newClient(e, addr)}
}

func (c *TaskManagerClient) Deploy(ctx context.Context, m *wire.Deploy) error {
	_, err := call[none](ctx, &c.client, callTimeout, "deploy", m)
	return err
}

func (c *TaskManagerClient) Cancel(ctx context.Context, m *wire.Cancel) error {
	_, err := call[none](ctx, &c.client, callTimeout, "cancel", m)
	return err
}

// Commit may take as long as its files.
func (c *TaskManagerClient) Commit(ctx context.Context, m *wire.Commit) error {
	_, err := call[none](ctx, &c.client, commitTimeout, "commit", m)
	return err
}

// Examine may take as long as looking at the files does.
func (c *TaskManagerClient) Examine(ctx context.Context, m *wire.Commit) (*wire.Examined, error) {
	return call[wire.Examined](ctx, &c.client, commitTimeout, "examine", m)
}

// Prepare may have to fetch and compile modules.
func (c *TaskManagerClient) Prepare(ctx context.Context, m *wire.Prepare) error {
	_, err := call[none](ctx, &c.client, commitTimeout, "prepare", m)
	return err
}

func (c *TaskManagerClient) Trigger(ctx context.Context, m *wire.Trigger) error {
	_, err := call[none](ctx, &c.client, callTimeout, "trigger", m)
	return err
}

func (c *TaskManagerClient) Conclude(ctx context.Context, m *wire.Conclude) error {
	_, err := call[none](ctx, &c.client, callTimeout, "conclude", m)
	return err
}

func (c *TaskManagerClient) Logs(ctx context.Context, job graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	lines, err := call[[]wire.LogLine](ctx, &c.client, callTimeout, "logs", &logsRequest{job, after, max})
	if err != nil {
		return nil, err
	}
	return *lines, nil
}
