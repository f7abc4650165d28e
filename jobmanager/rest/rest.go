// Package rest serves the JobManager's REST interface under /v1, as openapi.json describes it, and /metrics. It knows
// HTTP: routes, bodies, limits, problem+json, event streams. It decides nothing about jobs; every request is one call of
// the JobManager interface. It is the only importer of Echo.
package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// Jobs is what REST asks of the JobManager about jobs. Methods are called from many goroutines. An error that a user is
// meant to see is an *api.Error; any other is answered as internal. An id may be a unique prefix.
type Jobs interface {
	SubmitJob(ctx context.Context, s *api.Submit) (*api.Job, error)
	ListJobs(ctx context.Context) ([]api.Job, error)
	GetJob(ctx context.Context, id graph.JobID) (*api.Job, error)
	CancelJob(ctx context.Context, id graph.JobID) (*api.Job, error)
	// GiveUp leaves out of the output that is to be committed what is gone.
	GiveUp(ctx context.Context, id graph.JobID, g *api.GiveUp) (*api.GaveUp, error)
	JobPlan(ctx context.Context, id graph.JobID) (*api.Plan, error)
	JobCheckpoints(ctx context.Context, id graph.JobID) ([]api.Checkpoint, error)
	// InspectCheckpoint reads a retained checkpoint, the newest one if n is 0, with so many entries of each state.
	InspectCheckpoint(ctx context.Context, id graph.JobID, n checkpoint.ID, sample int) (*savepoint.Report, error)
	VerifyCheckpoints(ctx context.Context, id graph.JobID) (*api.Verification, error)
	TakeCheckpoint(ctx context.Context, id graph.JobID) (*api.Checkpoint, error)
	JobSavepoints(ctx context.Context, id graph.JobID) ([]api.Savepoint, error)
	RescaleJob(ctx context.Context, id graph.JobID, s *api.Rescale) (*api.Job, error)
	UpgradeJob(ctx context.Context, id graph.JobID, u *api.Upgrade) (*api.Upgraded, error)
	TakeSavepoint(ctx context.Context, id graph.JobID, s *api.TakeSavepoint) (*api.Savepoint, error)
	JobLogs(ctx context.Context, id graph.JobID, after time.Time, max int) ([]wire.LogLine, error)
	// WatchJob sends the job as it is, then after each change, and closes the channel when the job has ended. The
	// receiver may leave at any time by ending ctx.
	WatchJob(ctx context.Context, id graph.JobID) (<-chan api.Job, error)
}

// Modules is what REST asks of the JobManager about modules.
type Modules interface {
	// UploadModule reads the module to its end; the reader's errors are to be wrapped, since they are the user's.
	UploadModule(ctx context.Context, module io.Reader) (*api.Module, error)
	GetModule(ctx context.Context, id graph.ModuleID) (*api.Module, error)
	ListModules(ctx context.Context) ([]api.Module, error)
}

// Cluster is what REST asks of the JobManager about itself.
type Cluster interface {
	ListTaskManagers(ctx context.Context) ([]api.TaskManager, error)
	ClusterOverview(ctx context.Context) (*api.Overview, error)
}

// JobManager is all that REST needs.
type JobManager interface {
	Jobs
	Modules
	Cluster
}

// Config is what a handler is made of.
type Config struct {
	JobManager  JobManager
	UploadLimit int64 // bytes of a module
	Log         *slog.Logger
	Collectors  []prometheus.Collector // shown by /metrics beside the JobManager's own figures
}

// route is one row of the table of routes; openapi.json has the same ones. HEAD is served wherever GET is.
type route struct {
	method, path string
	serve        echo.HandlerFunc
}

type server struct {
	jm          JobManager
	uploadLimit int64
	log         *slog.Logger
	metrics     http.Handler
}

func (s *server) routes() []route {
	return []route{
		{http.MethodPost, "/v1/modules", s.uploadModule},
		{http.MethodGet, "/v1/modules", s.listModules},
		{http.MethodGet, "/v1/modules/:id", s.getModule},
		{http.MethodPost, "/v1/jobs", s.submitJob},
		{http.MethodGet, "/v1/jobs", s.listJobs},
		{http.MethodGet, "/v1/jobs/:id", s.getJob},
		{http.MethodPost, "/v1/jobs/:id/cancel", s.cancelJob},
		{http.MethodPost, "/v1/jobs/:id/give-up", s.giveUp},
		{http.MethodGet, "/v1/jobs/:id/plan", s.jobPlan},
		{http.MethodGet, "/v1/jobs/:id/logs", s.jobLogs},
		{http.MethodGet, "/v1/jobs/:id/metrics", s.jobMetrics},
		{http.MethodGet, "/v1/jobs/:id/checkpoints", s.jobCheckpoints},
		{http.MethodPost, "/v1/jobs/:id/checkpoints", s.takeCheckpoint},
		{http.MethodGet, "/v1/jobs/:id/checkpoints/verification", s.verifyCheckpoints},
		{http.MethodGet, "/v1/jobs/:id/checkpoints/:checkpoint", s.inspectCheckpoint},
		{http.MethodPost, "/v1/jobs/:id/rescale", s.rescaleJob},
		{http.MethodPost, "/v1/jobs/:id/upgrade", s.upgradeJob},
		{http.MethodGet, "/v1/jobs/:id/savepoints", s.jobSavepoints},
		{http.MethodPost, "/v1/jobs/:id/savepoints", s.takeSavepoint},
		{http.MethodGet, "/v1/taskmanagers", s.listTaskManagers},
		{http.MethodGet, "/v1/overview", s.overview},
		{http.MethodGet, "/v1/openapi.json", s.openAPI},
		{http.MethodGet, "/metrics", echo.WrapHandler(s.metrics)},
	}
}

// Handler returns the whole interface.
func Handler(c Config) http.Handler {
	s := &server{jm: c.JobManager, uploadLimit: c.UploadLimit, log: c.Log, metrics: metricsHandler(c)}
	e := echo.New()
	e.HTTPErrorHandler = s.answerError
	e.Pre(onlyLocal)
	e.Use(s.recoverPanic)
	for _, r := range s.routes() {
		e.Add(r.method, r.path, r.serve)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, r.serve) // the server below leaves the body out
		}
	}
	return e
}
