package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
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
// speaks to the JobManager's REST interface without a socket; other processes reach it if serve is called. Nothing of it outlives the process, unless it was given a
// directory.
type embedded struct {
	client *api.Client
	jobs   *jobmanager.JobManager
	rest   rest.Config
	parts  closers
	work   func() // starts the TaskManager: until then the jobs that are there wait for it. At most once
}

// embeddedPatience is the least time that jobs wait for the TaskManager. It always comes, and has slots for all.
const embeddedPatience = time.Minute

// embeddedHeartbeat is how often the tasks' figures are renewed, and so how smoothly progress is shown.
const embeddedHeartbeat = 200 * time.Millisecond

// startEmbedded starts the parts in the order of the list, but for the TaskManager, which work starts. The guests' log goes
// to lines, what print sinks write to out. dir keeps metadata, modules and, unless checkpoint.dir is set, checkpoints; empty:
// all of them end with the process.
func startEmbedded(ctx context.Context, c *config.Config, dir string, out, lines io.Writer) (_ *embedded, err error) {
	e := &embedded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.parts.close())
		}
	}()
	ctx = context.WithoutCancel(ctx) // an interrupt is the command's affair; then Close stops the parts
	log := embeddedLog(c, lines)
	ephemeral := dir == ""
	var meta ha.Store
	var blobs jobmanager.Blobs
	var checkpoints string // where they are kept
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
	if !ephemeral {
		if checkpoints, err = checkpointsOf(dir, c.Checkpoint.Dir); err != nil {
			return nil, err
		}
	} else {
		e.parts.add("metadata", meta)
		if dir, err = os.MkdirTemp("", "wasmill-"); err != nil {
			return nil, err
		}
		e.parts.add("temporary directory", closeFunc(func() { _ = os.RemoveAll(dir) }))
		checkpoints = filepath.Join(dir, "checkpoints")
	}
	engine, err := newEngine(ctx, c, func(text string) { fmt.Fprintf(lines, "warning: %s\n", text) })
	if err != nil {
		return nil, err
	}
	e.parts.add("Wasm engine", engine)
	network := exchange.NewNetwork(nil, exchange.Config{QueueBytes: int(c.Channel.Queue)})
	e.parts.add("channels", closeFunc(network.Close))

	tasks := taskManagerConfig(c, engine, log)
	if tasks.Clients, err = clients(c, &e.parts); err != nil {
		return nil, err
	}
	tasks.ID, tasks.Name, tasks.Slots = "embedded", "embedded", graph.MaxParallelism // as many as a job may ask for
	tasks.Network, tasks.Print, tasks.StateDir = network, linePrinter(out), filepath.Join(dir, "state")
	tm := taskmanager.New(tasks)
	w := &worker{tm: tm}
	w.ctx, w.stop = context.WithCancel(ctx)

	jobs := jobManagerConfig(c, engine, log)
	if jobs.Grants, err = grants(c); err != nil {
		return nil, err
	}
	jobs.Meta, jobs.Blobs, jobs.Checkpoints.URL = meta, blobs, checkpoints
	jobs.SlotsTimeout = max(jobs.SlotsTimeout, embeddedPatience)
	jobs.Heartbeat, jobs.Ephemeral = embeddedHeartbeat, ephemeral
	jobs.Dial = func(wire.Register) (jobmanager.TaskManager, error) { return tm, nil }
	jm, err := jobmanager.New(jobs)
	if err != nil {
		return nil, err
	}
	if err := jm.Start(ctx); err != nil {
		return nil, err
	}
	e.parts.add("copies of snapshot files", closeError(func() error { return tm.RemoveKept(ctx, jm.Over) }))
	e.parts.add("TaskManager", w)
	e.parts.add("JobManager", jm)
	e.work = func() { w.start(jm) }
	e.jobs, e.rest = jm, rest.Config{JobManager: jm, UploadLimit: int64(c.Upload.Limit), Log: log}
	e.client, err = api.NewClient("http://localhost", api.Direct(rest.Handler(e.rest)))
	return e, err
}

// worker is the TaskManager, once it has been started.
type worker struct {
	tm    *taskmanager.TaskManager
	ctx   context.Context
	stop  context.CancelFunc
	ended sync.WaitGroup
	err   error // once ended
}

func (w *worker) start(jm *jobmanager.JobManager) { w.ended.Go(func() { w.err = w.tm.Run(w.ctx, jm) }) }

// Close ends it, also before it was started.
func (w *worker) Close() error {
	w.stop()
	w.ended.Wait()
	return w.err
}

// Close stops everything, in mirror order, and waits for it. The JobManager goes before the TaskManager: it must not take the
// end of the tasks for a failure of the job.
func (e *embedded) Close() error { return e.parts.close() }
