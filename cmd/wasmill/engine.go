package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/module"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/blackhole"
	"github.com/wasmill/wasmill/internal/connector/file"
	"github.com/wasmill/wasmill/internal/connector/generator"
	"github.com/wasmill/wasmill/internal/connector/print"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/jobmanager"
)

// connectors is every system that jobs can read from and write to.
func connectors() *connector.Registry {
	return &connector.Registry{
		Sources: map[string]func(map[string]string) (connector.Source, error){
			"file":      file.NewSource,
			"generator": generator.NewSource,
		},
		Sinks: map[string]func(map[string]string) (connector.Sink, error){
			"file":      file.NewSink,
			"print":     print.NewSink,
			"blackhole": blackhole.NewSink,
		},
	}
}

// engine is the process's sandbox engine, made when the first module needs it: a process without jobs stays small.
type engine struct {
	config *config.Config
	made   func() (*host.Engine, error)

	mu   sync.Mutex
	live *host.Engine // nil until made
}

func newEngine(c *config.Config) *engine {
	e := &engine{config: c}
	e.made = sync.OnceValues(e.make)
	return e
}

func (e *engine) make() (*host.Engine, error) {
	dir := e.config.Cache.Dir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, withHint(fmt.Errorf("find a directory for compiled modules: %w", err), "set cache.dir")
		}
		dir = filepath.Join(user, "wasmill", "compiled")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, withHint(fmt.Errorf("make the directory for compiled modules: %w", err), "set cache.dir")
	}
	live, err := host.NewEngine(context.Background(), host.Config{
		CacheDir:    dir,
		MemoryLimit: int64(e.config.Guest.Memory),
		CallLimit:   e.config.Guest.CallLimit,
		StackLimit:  int(e.config.Guest.Stack),
	})
	if err != nil {
		return nil, fmt.Errorf("start the Wasm engine: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live = live
	return live, nil
}

// get returns the engine; the first call makes it.
func (e *engine) get() (*host.Engine, error) { return e.made() }

// close frees the engine, if it was made. Nothing may use it any more.
func (e *engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live == nil {
		return nil
	}
	return e.live.Close(context.Background())
}

// inspect is what the JobManager judges uploads with.
func (e *engine) inspect(ctx context.Context, wasm []byte) (*jobmanager.Inspection, error) {
	h, err := e.get()
	if err != nil {
		return nil, err
	}
	found, err := h.Inspect(ctx, wasm, nil)
	if err != nil {
		return nil, forUser(err)
	}
	return &jobmanager.Inspection{
		Metered: found.Metered, MeteredID: graph.ModuleID(found.MeteredID),
		Manifest: found.Manifest, DescribeError: found.DescribeError,
	}, nil
}

// describe is what the JobManager asks a module for its graph with.
func (e *engine) describe(ctx context.Context, metered []byte, params map[string]string) (*jobmanager.Description, error) {
	h, err := e.get()
	if err != nil {
		return nil, err
	}
	manifest, parsed, err := h.Describe(ctx, metered, params)
	if err != nil {
		return nil, forUser(err)
	}
	return &jobmanager.Description{Manifest: parsed, ID: graph.ModuleID(sha256Hex(manifest))}, nil
}

// forUser makes what is wrong with a module an answer to who sent it, with the hint that the sandbox has.
func forUser(err error) error {
	answer := api.Errorf(api.KindInvalid, "%s", err)
	var refused *module.Error
	var guest *host.Error
	switch {
	case errors.As(err, &refused):
		return answer.WithHint("%s", refused.Hint)
	case errors.As(err, &guest):
		return answer
	}
	return err
}
