package taskmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

// listSource reads lines that the test gave; a split's data is its index.
type listSource struct {
	splits  [][]string
	stamps  bool // a record's timestamp is its line's number in the split, times 10, plus the split's index times 1000
	ordered bool
	endless bool // splits never end, and idle
	held    bool // with nothing at hand: a bounded one is caught up, one without end waits, and has more
	each    int  // lines that a poll gives at most, 0: as many as are taken
	repeat  bool // every split begins again when it ends
	poll    func() error
	bad     string // a line that is no record
}

func (s *listSource) Bounded() bool { return !s.endless }

func (s *listSource) Columns() abi.Columns {
	if s.stamps {
		return abi.ColumnValues | abi.ColumnTimestamps
	}
	return abi.ColumnValues
}

func (s *listSource) Enumerate(context.Context, int) (connector.Splits, error) {
	out := connector.Splits{Ordered: s.ordered}
	for i := range s.splits {
		out.Splits = append(out.Splits, connector.Split{ID: fmt.Sprintf("list[%d]", i), Data: json.RawMessage(fmt.Sprint(i))})
	}
	return out, nil
}

func (s *listSource) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	var i int
	if err := json.Unmarshal(split.Data, &i); err != nil {
		return nil, err
	}
	return &listReader{source: s, lines: s.splits[i], split: i, base: int64(i) * 1000}, nil
}

type listReader struct {
	source *listSource
	split  int
	lines  []string
	at     int
	base   int64
}

func (r *listReader) Poll(b *abi.Builder, most, _ int, now time.Time) (connector.Progress, error) {
	if r.source.poll != nil {
		if err := r.source.poll(); err != nil {
			return connector.Progress{}, err
		}
	}
	r.lines = r.source.splits[r.split]
	if r.source.repeat && r.at == len(r.lines) {
		r.at = 0
	}
	if r.source.each > 0 {
		most = min(most, r.source.each)
	}
	var bad []connector.BadRecord
	for ; r.at < len(r.lines) && b.Len() < most; r.at++ {
		line := r.lines[r.at]
		if r.source.bad != "" && line == r.source.bad {
			bad = append(bad, connector.BadRecord{Where: fmt.Sprintf("line %d", r.at), Err: errors.New("no record"), Bytes: []byte(line)})
			continue
		}
		b.Append(abi.Record{Timestamp: r.base + 10*int64(r.at), Value: unsafe.Slice(unsafe.StringData(line), len(line))})
	}
	if r.source.repeat {
		return connector.Progress{}, nil
	}
	if r.source.endless {
		if b.Len() > 0 {
			return connector.Progress{Read: int64(b.Bytes())}, nil
		}
		return connector.Progress{Wake: now.Add(time.Hour), CaughtUp: !r.source.held}, nil
	}
	if r.source.held && b.Len() == 0 {
		return connector.Progress{Wake: now.Add(time.Hour), CaughtUp: true}, nil
	}
	return connector.Progress{Done: r.at == len(r.lines), Read: int64(b.Bytes()), Bad: bad}, nil
}

func (r *listReader) Close() error { return nil }

// collector is the sink of all tests: it remembers what was written, as "key=value@timestamp" or as rows.
type collector struct {
	cols  abi.Columns
	delay time.Duration // before it is ready for more

	settle connector.Settle // of each Prepare

	mu        sync.Mutex
	wrote     chan struct{} // capacity 1: told after each write, when it is made
	records   []string
	values    [][]byte
	written   int
	open      int
	committed []connector.Committable
}

func newCollector() *collector {
	return &collector{cols: abi.ColumnValues, wrote: make(chan struct{}, 1)}
}

func (c *collector) Columns(abi.Codec, abi.Codec) (abi.Columns, error) { return c.cols, nil }

func (c *collector) Open(_ context.Context, t connector.SinkTask) (connector.Writer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	return &collectWriter{c: c, task: t}, nil
}

func (c *collector) Commit(_ context.Context, _ string, _ uint64, p []connector.Committable) error {
	c.committed = append(c.committed, p...)
	return nil
}

func (c *collector) Abort(context.Context, string, uint32) error { return nil }

// await waits until n records have been written.
func (c *collector) await(n int) {
	for {
		c.mu.Lock()
		enough := c.written >= n
		c.mu.Unlock()
		if enough {
			return
		}
		<-c.wrote
	}
}

func (c *collector) sorted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.records))
}

type collectWriter struct {
	c    *collector
	task connector.SinkTask
}

func (w *collectWriter) Write(b *abi.Batch, now time.Time) (time.Time, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.written += b.N
	for i := range b.N {
		if b.ValueOffs == nil {
			continue
		}
		v := bytes.Clone(b.Value(i))
		w.c.values = append(w.c.values, v)
		s := string(v)
		if b.KeyOffs != nil {
			s = string(b.Key(i)) + "=" + s
		}
		if b.Timestamps != nil {
			s += fmt.Sprint("@", b.Timestamp(i))
		}
		w.c.records = append(w.c.records, s)
	}
	select {
	case w.c.wrote <- struct{}{}:
	default:
	}
	if w.c.delay > 0 {
		return now.Add(w.c.delay), nil
	}
	return time.Time{}, nil
}

func (w *collectWriter) Prepare(context.Context) ([]connector.Committable, connector.Settle, error) {
	return []connector.Committable{{Data: json.RawMessage(fmt.Sprint(w.task.Subtask))}}, w.c.settle, nil
}

func (w *collectWriter) Close() error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.open--
	return nil
}

func (*listSource) Guarantee() connector.Guarantee { return connector.ExactlyOnce }

func (*listReader) Position() json.RawMessage { return nil }

func (*collector) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
