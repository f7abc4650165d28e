package control

import (
	"context"
	"io"
	"net/http"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/wire"
)

// JobManager is what a JobManager answers to its TaskManagers. Calls come from many goroutines; ctx ends when the caller
// gives up. A refusal is a *wire.Failure.
type JobManager interface {
	Register(ctx context.Context, m *wire.Register) (*wire.Registered, error)
	Heartbeat(ctx context.Context, m *wire.Heartbeat) (*wire.Noted, error)
	Report(ctx context.Context, m *wire.Report) error
	Acknowledge(ctx context.Context, m *wire.Acknowledge) error
	NextSplit(ctx context.Context, m *wire.NextSplit) (*wire.SplitAssignment, error)
	// Module opens the metered bytes of a module.
	Module(ctx context.Context, metered graph.ModuleID) (io.ReadCloser, error)
}

// JobManagerHandler answers what a JobManagerClient asks.
func JobManagerHandler(jm JobManager) *Handler {
	h := newHandler()
	handle(h, "register", jm.Register)
	handle(h, "heartbeat", jm.Heartbeat)
	handle(h, "report", command(jm.Report))
	handle(h, "acknowledge", command(jm.Acknowledge))
	handle(h, "split", jm.NextSplit)
	h.mux.HandleFunc("GET "+prefix+"modules/{id}", func(w http.ResponseWriter, r *http.Request) {
		module, err := jm.Module(r.Context(), graph.ModuleID(r.PathValue("id")))
		if err != nil {
			refuse(w, err)
			return
		}
		defer module.Close()
		w.Header().Set("Content-Type", "application/wasm")
		if _, err := io.Copy(w, module); err != nil {
			panic(http.ErrAbortHandler) // resets the stream: the client must not take this for the end
		}
	})
	return h
}

// JobManagerClient calls a JobManager in another process.
type JobManagerClient struct{ client }

// NewJobManagerClient returns a client of the JobManager whose endpoint listens on addr. It connects at the first call.
func NewJobManagerClient(e *transport.Endpoint, addr string) *JobManagerClient {
	return &JobManagerClient{newClient(e, addr)}
}

func (c *JobManagerClient) Register(ctx context.Context, m *wire.Register) (*wire.Registered, error) {
	return call[wire.Registered](ctx, &c.client, callTimeout, "register", m)
}

func (c *JobManagerClient) Heartbeat(ctx context.Context, m *wire.Heartbeat) (*wire.Noted, error) {
	return call[wire.Noted](ctx, &c.client, callTimeout, "heartbeat", m)
}

func (c *JobManagerClient) Report(ctx context.Context, m *wire.Report) error {
	_, err := call[none](ctx, &c.client, callTimeout, "report", m)
	return err
}

func (c *JobManagerClient) Acknowledge(ctx context.Context, m *wire.Acknowledge) error {
	_, err := call[none](ctx, &c.client, callTimeout, "acknowledge", m)
	return err
}

func (c *JobManagerClient) NextSplit(ctx context.Context, m *wire.NextSplit) (*wire.SplitAssignment, error) {
	return call[wire.SplitAssignment](ctx, &c.client, callTimeout, "split", m)
}

// Module answers the module's bytes as they come; who reads them checks their hash.
func (c *JobManagerClient) Module(ctx context.Context, metered graph.ModuleID) (io.ReadCloser, error) {
	ctx, cancel := withDeadline(ctx, commitTimeout)
	body, err := c.do(ctx, http.MethodGet, "modules/"+string(metered), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	return &download{body, cancel}, nil
}

// download ends its request when it is closed.
type download struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (d *download) Close() error {
	defer d.cancel()
	return d.ReadCloser.Close()
}
