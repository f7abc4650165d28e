package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

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

// embeddedLog is the log of an embedded cluster. What its guests log is printed as lines; what the cluster logs about
// itself, only at level debug: what matters of it reaches the user as the command's own messages.
func embeddedLog(c *config.Config, w io.Writer) *slog.Logger {
	if c.Log.Level == "debug" {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // config allows only names of levels
	return slog.New(&guestLines{w: w, mu: new(sync.Mutex), level: level})
}

// These mark a record as a guest's line: a task's log has its subtask, and the TaskManager gives a line the name of the operator that
// logged it. A JobManager that speaks of an operator has no subtask.
const operatorAttr, subtaskAttr = "operator", "subtask"

// guestLines is a log handler that prints what guests log, as OPERATOR[SUBTASK] LEVEL TEXT, and drops everything else.
type guestLines struct {
	w       io.Writer
	mu      *sync.Mutex // a line at a time
	level   slog.Level
	subtask string
}

func (h *guestLines) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *guestLines) Handle(_ context.Context, r slog.Record) error {
	operator := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == operatorAttr {
			operator = a.Value.String()
		}
		return operator == ""
	})
	if operator == "" || h.subtask == "" {
		return nil
	}
	line := fmt.Appendf(nil, "%s[%s] %s %s\n", printable(operator), h.subtask, r.Level, printable(strings.TrimRight(r.Message, "\n")))
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line)
	return err
}

func (h *guestLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		if a.Key == subtaskAttr {
			with.subtask = a.Value.String()
		}
	}
	return &with
}

func (h *guestLines) WithGroup(string) slog.Handler { return h }
