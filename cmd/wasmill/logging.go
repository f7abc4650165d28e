package main

import (
	"io"
	"log/slog"

	"github.com/wasmill/wasmill/internal/config"
)

// newLogger returns the log of a JobManager or TaskManager process.
func newLogger(c *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // config allows only names of levels
	options := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "text" || (c.Log.Format == "auto" && isTerminal(w)) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
