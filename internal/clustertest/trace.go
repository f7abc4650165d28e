package clustertest

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Trace is what has happened in a run, in the order of virtual time: faults, what took effect of them, and what the
// processes logged.
type Trace struct {
	seed  uint64
	begin time.Time

	mu      sync.Mutex
	lines   []string
	effects map[string]int // faults that took effect, by name
}

func newTrace(seed uint64) *Trace {
	return &Trace{seed: seed, begin: time.Now(), effects: map[string]int{}}
}

// Add notes that something has happened.
func (t *Trace) Add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf("%9.3fs  %s", time.Since(t.begin).Seconds(), fmt.Sprintf(format, args...)))
}

// Effect notes that a fault has taken effect.
func (t *Trace) Effect(fault string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.effects[fault]++
}

// Effects are the faults that have taken effect, and how often.
func (t *Trace) Effects() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int, len(t.effects))
	for k, n := range t.effects {
		out[k] = n
	}
	return out
}

// Count is how many lines have all of the parts.
func (t *Trace) Count(parts ...string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(l, p) }) {
			n++
		}
	}
	return n
}

// Keep writes the trace to a file that outlives the test, and answers its name.
func (t *Trace) Keep(name string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := os.CreateTemp("", fmt.Sprintf("wasmill-%s-seed-%d-*.trace", name, t.seed))
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = io.WriteString(f, strings.Join(t.lines, "\n")+"\n")
	return f.Name(), err
}

// writer makes each write of a process's logger a line of the trace.
func (t *Trace) writer(process string) io.Writer { return traceWriter{t, process} }

type traceWriter struct {
	trace   *Trace
	process string
}

func (w traceWriter) Write(p []byte) (int, error) {
	w.trace.Add("%s: %s", w.process, strings.TrimSpace(string(p)))
	return len(p), nil
}
