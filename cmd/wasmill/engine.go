package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/config"
)

// engine is the process's sandbox engine, and there is one: making it takes 2 ms and 1 MB, so no process does without.
type engine struct{ *host.Engine }

// newEngine makes the engine. warn is told when there is no place to keep compiled modules in.
func newEngine(ctx context.Context, c *config.Config, warn func(text string)) (engine, error) {
	dir, err := compiledDir(c.Cache.Dir)
	if err != nil && c.Cache.Dir != "" {
		return engine{}, withHint(fmt.Errorf("cache.dir: %w", err), "set cache.dir to a directory that can be written")
	}
	if err != nil {
		dir = ""
		warn(fmt.Sprintf("compiled modules are not kept, so each start takes longer: %s; set cache.dir or WASMILL_CACHE_DIR to a directory that can be written", err))
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

// compiledDir makes the directory of compiled modules, the one given or that of the user, and sees whether it can be written.
func compiledDir(dir string) (string, error) {
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "wasmill", "compiled")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return "", fmt.Errorf("write to %s: %w", dir, err)
	}
	return dir, nil
}

// Close frees the engine. Nothing may use it any more.
func (e engine) Close() error { return e.Engine.Close(context.Background()) }
