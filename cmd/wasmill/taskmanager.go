package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/loopback"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/transport/control"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

func (a *app) taskmanagerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "taskmanager",
		Short: "Run a TaskManager of a cluster, in the foreground",
		Long: `Run a TaskManager of a cluster, in the foreground, until SIGTERM or Ctrl-C. It registers its slots with the JobManager
and runs the subtasks that are placed on them. Its log goes to stderr.`,
		Example: `  wasmill taskmanager --jobmanager 127.0.0.1:7070 --certs certs --slots 4`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			return serveTaskManager(cmd.Context(), c, newLogger(c, a.err))
		},
	}
	optionFlag(cmd, "jobmanager", "taskmanager.jobmanager")
	optionFlag(cmd, "name", "taskmanager.name")
	optionFlag(cmd, "address", "taskmanager.address")
	optionFlag(cmd, "metrics", "taskmanager.metrics")
	optionFlag(cmd, "slots", "taskmanager.slots")
	optionFlag(cmd, "state-dir", "state.dir")
	optionFlag(cmd, "certs", "tls.dir")
	optionFlag(cmd, "log-level", "log.level")
	optionFlag(cmd, "log-format", "log.format")
	return cmd
}

// serveTaskManager is a TaskManager's process: its parts are started in the order of the list, and stopped in mirror
// order when ctx ends.
func serveTaskManager(ctx context.Context, c *config.Config, log *slog.Logger) (err error) {
	var parts closers
	defer func() { err = errors.Join(err, parts.close()) }()

	identity, err := transport.LoadIdentity(c.TLS.Dir)
	if err != nil {
		return err
	}
	name, id, err := nameTaskManager(c.TaskManager.Name)
	if err != nil {
		return err
	}
	listener, err := loopback.Listen("taskmanager.metrics", c.TaskManager.Metrics)
	if err != nil {
		return err
	}
	parts.add("metrics listener", listener)
	if err := reachable("taskmanager.address", c.TaskManager.Address); err != nil {
		return err
	}
	endpoint, err := transport.Listen(transport.Config{Address: c.TaskManager.Address, Identity: identity, Log: log})
	if err != nil {
		return fmt.Errorf("taskmanager.address: %w", err)
	}
	parts.add("endpoint", endpoint)
	network := exchange.NewNetwork(endpoint, exchange.Config{QueueBytes: int(c.Channel.Queue)})
	parts.add("channels", closeFunc(network.Close))
	engine, err := newEngine(ctx, c, func(text string) { log.Warn(text) })
	if err != nil {
		return err
	}
	parts.add("Wasm engine", engine)

	dir, err := lockStateDir(ctx, filepath.Join(c.State.Dir, name))
	if err != nil {
		return err
	}
	parts.add("state directory", dir)
	settings := taskManagerConfig(c, engine, log)
	if settings.Clients, err = clients(c, &parts); err != nil {
		return err
	}
	settings.StateDir = dir.Name()
	settings.ID, settings.Name, settings.Slots, settings.Address = id, name, c.TaskManager.Slots, endpoint.Addr()
	if c.TaskManager.Advertise != "" {
		if err := reachable("taskmanager.advertise", c.TaskManager.Advertise); err != nil {
			return err
		}
		settings.Address = c.TaskManager.Advertise
	}
	settings.Network, settings.LivenessTLS = network, identity.ClientTLS()
	settings.Print = linePrinter(os.Stdout)
	tm := taskmanager.New(settings)
	calls := control.TaskManagerHandler(tm)
	endpoint.HandleControl(calls)
	client := control.NewJobManagerClient(endpoint, c.TaskManager.JobManager)
	parts.add("JobManager client", client)
	jm := &registrar{JobManager: client, log: log}

	log.Info("TaskManager serves", "taskmanager", name, "id", id, "slots", c.TaskManager.Slots, "address", endpoint.Addr(),
		"metrics", "http://"+listener.Addr().String()+"/metrics", "jobmanager", c.TaskManager.JobManager, "version", version)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return tm.Run(ctx, jm) })
	group.Go(func() error {
		return loopback.Serve(ctx, listener, taskMetricsHandler(tm, network, calls, c.TaskManager.Slots), log)
	})
	err = group.Wait()
	log.Info("TaskManager stops", "taskmanager", name)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// lockPatience is how long the TaskManager before may take to be gone.
const lockPatience = 3 * time.Second

// lockStateDir makes a TaskManager's local directory if needed and locks it against other processes. Closing the file
// unlocks it.
func lockStateDir(ctx context.Context, path string) (*stateDir, error) {
	hint := "set state.dir to a directory of this TaskManager's own, or give it another name"
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, withHint(fmt.Errorf("state.dir: %w", err), "%s", hint)
	}
	f, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, withHint(fmt.Errorf("state.dir: %w", err), "%s", hint)
	}
	switch taken, err := flock(ctx, f, lockPatience); {
	case err != nil:
		return nil, withHint(errors.Join(fmt.Errorf("state.dir: lock %s: %w", path, err), f.Close()), "%s", hint)
	case !taken:
		f.Close()
		return nil, withHint(fmt.Errorf("state.dir: another TaskManager uses %s", path), "%s", hint)
	}
	return &stateDir{f, path}, nil
}

// stateDir is a directory that is locked.
type stateDir struct {
	lock *os.File
	path string
}

func (d *stateDir) Name() string { return d.path }

// Close unlocks it.
func (d *stateDir) Close() error { return d.lock.Close() }

// taskManagerConfig is what a TaskManager is given whether it is a process of its own or not.
func taskManagerConfig(c *config.Config, engine engine, log *slog.Logger) taskmanager.Config {
	return taskmanager.Config{
		Engine:     engine.Engine,
		Connectors: connectors(),
		MaxDelay:   c.Pipeline.MaxDelay,
		CallLimit:  c.Guest.CallLimit,
		State:      taskmanager.StateLimits{Budget: int64(c.State.Budget), Quota: int64(c.State.Quota), Reserve: int64(c.State.Reserve)},
		OpenStore:  blob.Open,
		Log:        log,
	}
}

// nameTaskManager returns the TaskManager's name, the host's when it was given none, and an id that no other process
// has, nor this one when it is started again.
func nameTaskManager(name string) (string, wire.TaskManagerID, error) {
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", "", withHint(fmt.Errorf("name the TaskManager: %w", err), "set taskmanager.name")
		}
		name = host
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return name, wire.TaskManagerID(name + "-" + hex.EncodeToString(random[:])), nil
}

// reachable refuses an address that says "every interface": others are told this address, and cannot dial that one.
func reachable(option, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %q (expected HOST:PORT)", option, address)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("%s: %s (expected the address that other machines reach this one by)", option, address)
	}
	return nil
}

// linePrinter is where print sinks write, from many tasks: a line at a time.
func linePrinter(w io.Writer) func(line []byte) {
	var mu sync.Mutex
	var whole []byte // guarded by mu
	return func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		whole = append(append(whole[:0], line...), '\n')
		_, _ = w.Write(whole)
	}
}
