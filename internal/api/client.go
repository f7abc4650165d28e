package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// Client speaks to one JobManager. Its methods may be called from any goroutine. What the JobManager refused comes back
// as *Error; a JobManager that cannot be reached as *UnreachableError.
type Client struct {
	base string
	http *http.Client
}

// UnreachableError says that no JobManager answered at URL.
type UnreachableError struct {
	URL  string
	Err  error
	Sent bool // there was one: it may have done what it was asked
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("JobManager at %s: %s", e.URL, e.Err)
}
func (e *UnreachableError) Unwrap() error { return e.Err }

// NewClient returns a client of the JobManager at base, as in "http://127.0.0.1:7070". Requests go through transport;
// nil is the network.
func NewClient(base string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("JobManager URL %q (expected http://HOST:PORT)", base)
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: &http.Client{Transport: transport}}, nil
}

// URL returns the address of the JobManager.
func (c *Client) URL() string { return c.base }

// HasModule says whether the JobManager holds the module, so that it need not be sent.
func (c *Client) HasModule(ctx context.Context, id graph.ModuleID) (bool, error) {
	resp, err := c.do(ctx, http.MethodHead, "/v1/modules/"+url.PathEscape(string(id)), nil, "")
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			return false, nil
		}
		return false, err
	}
	return true, resp.Body.Close()
}

// UploadModule sends a module of the given size in bytes.
func (c *Client) UploadModule(ctx context.Context, module io.Reader, size int64) (*Module, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/modules", module)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/wasm")
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	return decode[Module](resp)
}

// GetModule returns one module.
func (c *Client) GetModule(ctx context.Context, id graph.ModuleID) (*Module, error) {
	return get[Module](ctx, c, "/v1/modules/"+url.PathEscape(string(id)))
}

// ListModules returns all modules, the newest first.
func (c *Client) ListModules(ctx context.Context) ([]Module, error) {
	return pages(ctx, c, "/v1/modules", func(p *ModulePage) ([]Module, string) { return p.Modules, p.Next })
}

// SubmitJob asks for a job to be run. With the same Request it can be repeated.
func (c *Client) SubmitJob(ctx context.Context, s *Submit) (*Job, error) {
	return post[Job](ctx, c, "/v1/jobs", s)
}

// ListJobs returns all jobs, the newest first.
func (c *Client) ListJobs(ctx context.Context) ([]Job, error) {
	return pages(ctx, c, "/v1/jobs", func(p *JobPage) ([]Job, string) { return p.Jobs, p.Next })
}

// GetJob returns one job; the id may be shortened while it is unique.
func (c *Client) GetJob(ctx context.Context, id graph.JobID) (*Job, error) {
	return get[Job](ctx, c, jobPath(id))
}

// CancelJob asks for the job to be stopped and returns it as it is then, usually CANCELLING.
func (c *Client) CancelJob(ctx context.Context, id graph.JobID) (*Job, error) {
	resp, err := c.do(ctx, http.MethodPost, jobPath(id)+"/cancel", nil, "")
	if err != nil {
		return nil, err
	}
	return decode[Job](resp)
}

// GiveUp has output of the job that is gone left out, so that the rest can be committed.
func (c *Client) GiveUp(ctx context.Context, id graph.JobID, g *GiveUp) (*GaveUp, error) {
	return post[GaveUp](ctx, c, jobPath(id)+"/give-up", g)
}

// JobPlan returns the job's graph, its chains and where their tasks run.
func (c *Client) JobPlan(ctx context.Context, id graph.JobID) (*Plan, error) {
	return get[Plan](ctx, c, jobPath(id)+"/plan")
}

// JobMetrics returns what the tasks of the current attempt have done.
func (c *Client) JobMetrics(ctx context.Context, id graph.JobID) (*JobMetrics, error) {
	return get[JobMetrics](ctx, c, jobPath(id)+"/metrics")
}

// JobCheckpoints returns the retained checkpoints, the newest first.
func (c *Client) JobCheckpoints(ctx context.Context, id graph.JobID) ([]Checkpoint, error) {
	page, err := get[CheckpointPage](ctx, c, jobPath(id)+"/checkpoints")
	if err != nil {
		return nil, err
	}
	return page.Checkpoints, nil
}

// InspectCheckpoint reads a retained checkpoint from end to end, the newest one if id is 0, with so many entries of each state.
func (c *Client) InspectCheckpoint(ctx context.Context, job graph.JobID, id checkpoint.ID, sample int) (*savepoint.Report, error) {
	which := "latest"
	if id > 0 {
		which = strconv.FormatUint(uint64(id), 10)
	}
	if sample > 0 {
		which += "?sample=" + strconv.Itoa(sample)
	}
	return get[savepoint.Report](ctx, c, jobPath(job)+"/checkpoints/"+which)
}

// VerifyCheckpoints reads all that the retained checkpoints name.
func (c *Client) VerifyCheckpoints(ctx context.Context, id graph.JobID) (*Verification, error) {
	return get[Verification](ctx, c, jobPath(id)+"/checkpoints/verification")
}

// TakeCheckpoint takes a checkpoint now, and returns it when it is completed.
func (c *Client) TakeCheckpoint(ctx context.Context, id graph.JobID) (*Checkpoint, error) {
	resp, err := c.do(ctx, http.MethodPost, jobPath(id)+"/checkpoints", nil, "")
	if err != nil {
		return nil, err
	}
	return decode[Checkpoint](resp)
}

// TakeSavepoint makes a savepoint, and returns it when it is complete.
func (c *Client) TakeSavepoint(ctx context.Context, id graph.JobID, s *TakeSavepoint) (*Savepoint, error) {
	return post[Savepoint](ctx, c, jobPath(id)+"/savepoints", s)
}

// RescaleJob gives a job other parallelisms.
func (c *Client) RescaleJob(ctx context.Context, id graph.JobID, s *Rescale) (*Job, error) {
	return post[Job](ctx, c, jobPath(id)+"/rescale", s)
}

// UpgradeJob gives a job another module.
func (c *Client) UpgradeJob(ctx context.Context, id graph.JobID, u *Upgrade) (*Upgraded, error) {
	return post[Upgraded](ctx, c, jobPath(id)+"/upgrade", u)
}

// post sends a value and reads the answer.
func post[T any](ctx context.Context, c *Client, path string, value any) (*T, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodPost, path, bytes.NewReader(body), "application/json")
	if err != nil {
		return nil, err
	}
	return decode[T](resp)
}

// JobSavepoints returns the savepoints that a job has made, the newest first.
func (c *Client) JobSavepoints(ctx context.Context, id graph.JobID) ([]Savepoint, error) {
	page, err := get[SavepointPage](ctx, c, jobPath(id)+"/savepoints")
	if err != nil {
		return nil, err
	}
	return page.Savepoints, nil
}

// JobLogs returns up to max lines that the job's guests have logged after the given time, the oldest first.
func (c *Client) JobLogs(ctx context.Context, id graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	query := url.Values{"max": {strconv.Itoa(max)}}
	if !after.IsZero() {
		query.Set("after", after.Format(time.RFC3339Nano))
	}
	page, err := get[LogPage](ctx, c, jobPath(id)+"/logs?"+query.Encode())
	if err != nil {
		return nil, err
	}
	return page.Lines, nil
}

// ListTaskManagers returns the registered TaskManagers.
func (c *Client) ListTaskManagers(ctx context.Context) ([]TaskManager, error) {
	page, err := get[TaskManagerPage](ctx, c, "/v1/taskmanagers")
	if err != nil {
		return nil, err
	}
	return page.TaskManagers, nil
}

// Overview returns the cluster in a few numbers.
func (c *Client) Overview(ctx context.Context) (*Overview, error) {
	return get[Overview](ctx, c, "/v1/overview")
}

func jobPath(id graph.JobID) string { return "/v1/jobs/" + url.PathEscape(string(id)) }

// get fetches and decodes one resource.
func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	return decode[T](resp)
}

// pages fetches a list page by page.
func pages[P, T any](ctx context.Context, c *Client, path string, of func(*P) (items []T, next string)) ([]T, error) {
	all := []T{}
	for after := ""; ; {
		query := ""
		if after != "" {
			query = "?after=" + url.QueryEscape(after)
		}
		page, err := get[P](ctx, c, path+query)
		if err != nil {
			return nil, err
		}
		items, next := of(page)
		all = append(all, items...)
		if next == "" || next == after {
			return all, nil
		}
		after = next
	}
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader, contentType string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return c.send(req)
}

// send returns the response to req if it is a success; the caller closes its body.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, &UnreachableError{URL: c.base, Err: cause(err), Sent: !undialed(err)}
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

// undialed says whether an error is that of connecting, before anything was sent.
func undialed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// cause strips what net and net/http put before an error: method, URL and address, which the caller names itself.
func cause(err error) error {
	var u *url.Error
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Err
	case errors.As(err, &u):
		return u.Err
	}
	return err
}

// maxErrorBytes bounds what is read of an answer that is not a success.
const maxErrorBytes = 1 << 20

func readError(resp *http.Response) error {
	e := new(Error)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err == nil && json.Unmarshal(body, e) == nil && e.Kind != "" {
		return e
	}
	if resp.StatusCode == http.StatusNotFound && resp.Request.Method == http.MethodHead {
		return Errorf(KindNotFound, "%s: not found", resp.Request.URL.Path)
	}
	e = Errorf(KindInternal, "%s %s: answered %s", resp.Request.Method, resp.Request.URL.Path, resp.Status)
	e.Status = resp.StatusCode
	return e
}

func decode[T any](resp *http.Response) (*T, error) {
	defer resp.Body.Close()
	v := new(T)
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return nil, fmt.Errorf("read answer to %s %s: %w", resp.Request.Method, resp.Request.URL.Path, err)
	}
	return v, nil
}
