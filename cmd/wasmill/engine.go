package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/config"
)

// engine is the process's sandbox engine, and there is one: making it takes 2 ms and 1 MB, so no process does without.
type engine struct{ *host.Engine }

func newEngine(ctx context.Context, c *config.Config) (engine, error) {
	dir := c.Cache.Dir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return engine{}, withHint(fmt.Errorf("find a directory for compiled modules: %w", err), "set cache.dir")
		}
		dir = filepath.Join(user, "wasmill", "compiled")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return engine{}, withHint(fmt.Errorf("make the directory for compiled modules: %w", err), "set cache.dir")
	}
	e, err := host.NewEngine(ctx, host.Config{
		CacheDir:    dir,
		MemoryLimit: int64(c.Guest.Memory),
		CallLimit:   c.Guest.CallLimit,
		StackLimit:  int(c.Guest.Stack),
	})
	if err != nil {
		return engine{}, fmt.Errorf("start the Wasm engine: %w", err)
	}
	return engine{e}, nil
}

// Close frees the engine. Nothing may use it any more.
func (e engine) Close() error { return e.Engine.Close(context.Background()) }
