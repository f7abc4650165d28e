package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/loopback"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/transport/control"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/jobmanager/ha"
	"github.com/wasmill/wasmill/jobmanager/rest"
)

func (a *app) jobmanagerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobmanager",
		Short: "Run the JobManager of a cluster, in the foreground",
		Long: `Run the JobManager of a cluster, in the foreground, until SIGTERM or Ctrl-C. It takes modules and jobs by REST, places
jobs on the slots of TaskManagers, and carries each through its life. Its log goes to stderr.`,
		Example: `  wasmill cluster init --dir certs
  wasmill jobmanager --certs certs --dir data`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			return serveJobManager(cmd.Context(), c, newLogger(c, a.err))
		},
	}
	optionFlag(cmd, "address", "jobmanager.address")
	optionFlag(cmd, "control", "jobmanager.control")
	optionFlag(cmd, "liveness", "jobmanager.liveness")
	optionFlag(cmd, "dir", "jobmanager.dir")
	optionFlag(cmd, "checkpoint-dir", "checkpoint.dir")
	optionFlag(cmd, "checkpoint-interval", "checkpoint.interval")
	optionFlag(cmd, "certs", "tls.dir")
	optionFlag(cmd, "log-level", "log.level")
	optionFlag(cmd, "log-format", "log.format")
	return cmd
}

// serveJobManager is the JobManager's process: its parts are started in the order of the list, and stopped in mirror
// order when ctx ends.
func serveJobManager(ctx context.Context, c *config.Config, log *slog.Logger) (err error) {
	var parts closers
	defer func() { err = errors.Join(err, parts.close()) }()

	identity, err := transport.LoadIdentity(c.TLS.Dir)
	if err != nil {
		return err
	}
	listener, err := patiently(ctx, func() (net.Listener, error) {
		return loopback.Listen("jobmanager.address", c.JobManager.Address)
	})
	if err != nil {
		return err
	}
	parts.add("REST listener", listener)
	endpoint, err := patiently(ctx, func() (*transport.Endpoint, error) {
		return transport.Listen(transport.Config{Address: c.JobManager.Control, Identity: identity, Log: log})
	})
	if err != nil {
		return fmt.Errorf("jobmanager.control: %w", err)
	}
	parts.add("control endpoint", endpoint)
	blobs, err := jobmanager.OpenDirBlobs(filepath.Join(c.JobManager.Dir, "modules"))
	if err != nil {
		return err
	}
	meta, err := ha.OpenDir(filepath.Join(c.JobManager.Dir, "metadata"), log)
	if err != nil {
		return err
	}
	parts.add("metadata", meta)
	engine, err := newEngine(ctx, c, func(text string) { log.Warn(text) })
	if err != nil {
		return err
	}
	parts.add("Wasm engine", engine)

	settings := jobManagerConfig(c, engine, log)
	if settings.Grants, err = grants(c); err != nil {
		return err
	}
	settings.Meta, settings.Blobs = meta, blobs
	if err := checkCheckpoints(ctx, c, log); err != nil {
		return err
	}
	settings.Dial = func(r wire.Register) (jobmanager.TaskManager, error) {
		return control.NewTaskManagerClient(endpoint, r.Address), nil
	}
	settings.LivenessAddress, settings.LivenessTLS = c.JobManager.Liveness, identity.ServerTLS()
	jm, err := jobmanager.New(settings)
	if err != nil {
		return err
	}
	if err := jm.Start(ctx); err != nil {
		return err
	}
	parts.add("JobManager", jm)
	calls := control.JobManagerHandler(jm)
	endpoint.HandleControl(calls)

	log.Info("JobManager serves", "url", "http://"+listener.Addr().String(), "control", endpoint.Addr(), "epoch", meta.Epoch(), "version", version)
	handler := rest.Handler(rest.Config{
		JobManager: jm, UploadLimit: int64(c.Upload.Limit), Log: log, Collectors: []prometheus.Collector{&staleCollector{calls}},
	})
	err = loopback.Serve(ctx, listener, handler, log)
	log.Info("JobManager stops")
	return err
}

// portPatience is how long a JobManager waits for its ports: a predecessor that was killed may hold them a moment longer.
const portPatience = time.Second

// patiently listens, and tries again for a while when the address is in use.
func patiently[L any](ctx context.Context, listen func() (L, error)) (L, error) {
	limit := time.NewTimer(portPatience)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := listen()
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return l, err
		case <-ctx.Done():
			return l, err
		}
	}
}

// checkLimit is how long a store may take to prove itself before it counts as one that does not answer.
const checkLimit = 10 * time.Second

// checkCheckpoints sees whether there is a place for checkpoints, before a job needs it. A store that does not answer now is
// waited for by the jobs: the JobManager serves meanwhile.
func checkCheckpoints(ctx context.Context, c *config.Config, log *slog.Logger) error {
	check, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	err := blob.Check(check, c.Checkpoint.Dir)
	switch {
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		log.Warn("jobs cannot take checkpoints now", "err", fmt.Errorf("checkpoint.dir: %w", err))
		return nil
	case err != nil:
		return withHint(fmt.Errorf("checkpoint.dir: %w", err), "set checkpoint.dir to a directory, or s3://BUCKET/PREFIX, that the JobManager and every TaskManager can write to")
	case c.Savepoint.Dir == "":
		return nil
	}
	store, err := blob.Open(ctx, c.Savepoint.Dir)
	if err != nil {
		return fmt.Errorf("savepoint.dir: %w", err)
	}
	return store.Close()
}

// jobManagerConfig is what a JobManager is given whether it is a process of its own or not.
func jobManagerConfig(c *config.Config, engine engine, log *slog.Logger) jobmanager.Config {
	return jobmanager.Config{
		Inspect:          engine.inspect,
		Describe:         engine.describe,
		Connectors:       connectors(),
		Version:          version,
		Mode:             c.Job.Mode,
		SlotsTimeout:     c.Slots.Timeout,
		Heartbeat:        c.Heartbeat.Interval,
		HeartbeatTimeout: c.Heartbeat.Timeout,
		UploadLimit:      int64(c.Upload.Limit),
		Checkpoints: jobmanager.Checkpoints{
			URL: c.Checkpoint.Dir, Savepoints: c.Savepoint.Dir, Interval: c.Checkpoint.Interval, Timeout: c.Checkpoint.Timeout, MinPause: c.Checkpoint.MinPause,
			Tolerated: c.Checkpoint.ToleratedFailures, Retained: c.Checkpoint.Retained, Unaligned: c.Checkpoint.Unaligned, AlignmentTimeout: c.Checkpoint.AlignmentTimeout,
		},
		OpenStore: blob.Open, StoreThere: blob.There, StoreFits: blob.Fits,
		Restart: jobmanager.Restart{Delay: c.Restart.Delay, MaxDelay: c.Restart.MaxDelay, PerHour: c.Restart.PerHour},
		Log:     log,
	}
}
