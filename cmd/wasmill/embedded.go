package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager"
	"github.com/wasmill/wasmill/jobmanager/ha"
	"github.com/wasmill/wasmill/jobmanager/rest"
	"github.com/wasmill/wasmill/taskmanager"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// embedded is a cluster in this process: a JobManager and a TaskManager that call each other directly, and a client that
// speaks to the JobManager's REST interface without a socket. Nothing of it outlives the process, unless it was given a
// directory.
type embedded struct {
	client *api.Client
	parts  closers
	stop   context.CancelFunc // ends the TaskManager
	ended  chan error         // the TaskManager has ended
}

// embeddedHeartbeat is how often the tasks' figures are renewed, and so how smoothly progress is shown.
const embeddedHeartbeat = 200 * time.Millisecond

// startEmbedded starts the parts in the order of the list. The guests' log goes to lines, what print sinks write to out.
// dir keeps metadata, modules and checkpoints; empty: they end with the process.
func startEmbedded(ctx context.Context, c *config.Config, dir string, out, lines io.Writer) (_ *embedded, err error) {
	e := &embedded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.parts.close())
		}
	}()
	ctx = context.WithoutCancel(ctx) // an interrupt cancels the job, then Close stops the parts
	log := embeddedLog(c, lines)
	ephemeral := dir == ""
	var meta ha.Store
	var blobs jobmanager.Blobs
	if ephemeral {
		meta, err = ha.OpenMemory(slog.New(slog.DiscardHandler))
		blobs = jobmanager.NewMemoryBlobs()
	} else {
		if meta, err = ha.OpenDir(filepath.Join(dir, "metadata"), slog.New(slog.DiscardHandler)); err == nil {
			e.parts.add("metadata", meta)
			blobs, err = jobmanager.OpenDirBlobs(filepath.Join(dir, "modules"))
		}
	}
	if err != nil {
		return nil, err
	}
	if ephemeral {
		e.parts.add("metadata", meta)
		if dir, err = os.MkdirTemp("", "wasmill-"); err != nil {
			return nil, err
		}
		e.parts.add("temporary directory", closeFunc(func() { _ = os.RemoveAll(dir) }))
	}
	engine, err := newEngine(ctx, c, func(text string) { fmt.Fprintf(lines, "warning: %s\n", text) })
	if err != nil {
		return nil, err
	}
	e.parts.add("Wasm engine", engine)
	network := exchange.NewNetwork(nil, exchange.Config{QueueBytes: int(c.Channel.Queue)})
	e.parts.add("channels", closeFunc(network.Close))

	tasks := taskManagerConfig(c, engine, log)
	tasks.ID, tasks.Name, tasks.Slots = "embedded", "embedded", graph.MaxParallelism // as many as a job may ask for
	tasks.Network, tasks.Print, tasks.StateDir = network, linePrinter(out), filepath.Join(dir, "state")
	tm := taskmanager.New(tasks)

	jobs := jobManagerConfig(c, engine, log)
	jobs.Meta, jobs.Blobs, jobs.Checkpoints.URL = meta, blobs, filepath.Join(dir, "checkpoints")
	jobs.Heartbeat, jobs.Ephemeral = embeddedHeartbeat, ephemeral
	jobs.Dial = func(wire.Register) (jobmanager.TaskManager, error) { return tm, nil }
	jm, err := jobmanager.New(jobs)
	if err != nil {
		return nil, err
	}
	if err := jm.Start(ctx); err != nil {
		return nil, err
	}
	e.parts.add("JobManager", jm)

	run, stop := context.WithCancel(ctx)
	e.stop, e.ended = stop, make(chan error, 1)
	go func() { e.ended <- tm.Run(run, jm) }() // Close waits
	handler := rest.Handler(rest.Config{JobManager: jm, UploadLimit: int64(c.Upload.Limit), Log: log})
	e.client, err = api.NewClient("http://localhost", api.Direct(handler))
	return e, err
}

// Close stops everything, in mirror order, and waits for it.
func (e *embedded) Close() error {
	e.stop()
	return errors.Join(<-e.ended, e.parts.close())
}
