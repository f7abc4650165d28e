package taskmanager

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// keptLines is how many lines of a job's guests are kept here; the process's own log has all of them.
const keptLines = 1000

// logRing holds the last lines that a job's guests logged. Any goroutine may use it.
type logRing struct {
	mu    sync.Mutex
	lines []wire.LogLine // a ring once it has keptLines
	next  int            // where the next line goes, when it is a ring
}

func (r *logRing) add(line wire.LogLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < keptLines {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % keptLines
}

// since returns the lines after a time, the oldest first: the first most of them, or, since the beginning, the last.
func (r *logRing) since(after time.Time, most int) []wire.LogLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []wire.LogLine
	for i := range r.lines {
		if l := r.lines[(r.next+i)%len(r.lines)]; l.Time.After(after) {
			out = append(out, l)
		}
	}
	switch {
	case len(out) <= most:
	case after.IsZero():
		out = out[len(out)-most:]
	default:
		out = out[:most]
	}
	return out
}

var levels = map[abi.LogLevel]slog.Level{
	abi.LogDebug: slog.LevelDebug, abi.LogInfo: slog.LevelInfo, abi.LogWarn: slog.LevelWarn, abi.LogError: slog.LevelError,
}

// logGuest takes a line of the guest that a task runs.
func (t *task) logGuest(operator string, level abi.LogLevel, text string) {
	l, ok := levels[level]
	if !ok {
		l = slog.LevelInfo
	}
	t.log.Log(context.Background(), l, text, "operator", operator)
	t.attempt.logs.add(wire.LogLine{
		Time: time.Now(), Level: l.String(), Operator: operator, Subtask: t.id.Subtask, Attempt: t.attempt.key.Attempt, Text: text,
	})
}

// Logs returns lines that the job's guests logged here after a time: at most max, the oldest first. From the zero time
// on they are the last ones.
func (tm *TaskManager) Logs(_ context.Context, id graph.JobID, after time.Time, max int) ([]wire.LogLine, error) {
	tm.mu.Lock()
	j := tm.jobs[id]
	tm.mu.Unlock()
	if j == nil {
		return nil, nil
	}
	return j.logs.since(after, max), nil
}
