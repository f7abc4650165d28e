package file

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/text"
	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/failpoint"
)

const opSink = "file sink"

// Sink writes one line a record into files of a directory. A file is pending, under a hidden name, until Commit renames
// it; so a reader of part-* sees whole, final files only. Options:
//
//	path     the directory; it is made if it does not exist
//	columns  which fields of row values are written, and in what order: "start,key,value"; all of them by default
type Sink struct {
	config  map[string]string
	dir     string
	columns []string
	on      durable.FS
}

// NewSink checks the options.
func NewSink(config map[string]string) (connector.Sink, error) { return NewSinkOn(durable.OS, config) }

// NewSinkOn is NewSink on another file system than the operating system's.
func NewSinkOn(on durable.FS, config map[string]string) (connector.Sink, error) {
	s := &Sink{config: config, on: on}
	for key, value := range config {
		switch key {
		case "path":
			s.dir = value
		case "columns":
			if value != "" {
				s.columns = strings.Split(value, ",")
			}
		default:
			return nil, &connector.Error{Op: opSink, Err: fmt.Errorf("unknown option %q (known: path, columns)", key)}
		}
	}
	if s.dir == "" {
		return nil, &connector.Error{Op: opSink, Err: errors.New("path: empty (expected a directory)")}
	}
	return s, nil
}

// Columns are what the text of a record is made of.
func (s *Sink) Columns(key, value abi.Codec) (abi.Columns, error) {
	if _, err := text.NewFormat(value, s.columns); err != nil {
		return 0, &connector.Error{Op: opSink, Err: err}
	}
	return abi.ColumnValues, nil
}

// committable is what a writer prepares: one pending file.
type committable struct {
	Dir     string `json:"dir"`
	Pending string `json:"pending"` // name in Dir
	Subtask int    `json:"subtask"`
	N       int    `json:"n"`
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"`
}

// pendingName names a file that is not visible yet. The attempt stands in it, so that what a lost attempt left behind can
// be told from what a later one prepared.
func pendingName(job string, attempt uint32, subtask, n int) string {
	return fmt.Sprintf(".part-%s-%d-%d-%d.pending", job, attempt, subtask, n)
}

func finalName(job string, checkpoint uint64, subtask, n int) string {
	return fmt.Sprintf("part-%s-%d-%d-%d", job, checkpoint, subtask, n)
}

// Open makes the directory if needed and a pending file in it.
func (s *Sink) Open(_ context.Context, task connector.SinkTask) (connector.Writer, error) {
	format, err := text.NewFormat(task.Value, s.columns)
	if err != nil {
		return nil, &connector.Error{Op: opSink, Err: err}
	}
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, &connector.Error{Op: opSink, Err: err}
	}
	if err := durable.MakeDir(s.on, dir, 0o777); err != nil {
		return nil, unwritable(dir, err)
	}
	w := &writer{on: s.on, format: format, task: task, dir: dir}
	if err := w.begin(); err != nil {
		return nil, err
	}
	return w, nil
}

// begin opens the next pending file.
func (w *writer) begin() error {
	w.c = committable{Dir: w.dir, Subtask: w.task.Subtask, N: w.n, Pending: pendingName(w.task.Job, w.task.Attempt, w.task.Subtask, w.n)}
	f, err := w.on.Create(w.path(), os.O_EXCL, 0o666)
	if err != nil {
		return unwritable(w.dir, err)
	}
	w.n++
	w.file = f
	if w.out == nil {
		w.out = bufio.NewWriterSize(f, 128<<10)
	}
	w.out.Reset(f)
	return nil
}

// failed is an error of writing to path. A full disk is for the user to mend; anything else may pass.
func failed(step, path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &connector.Error{Op: opSink, Err: fmt.Errorf("%s %s: %w", step, path, err), Hint: "free some space, or write elsewhere"}
	}
	return fmt.Errorf("file sink: %s %s: %w", step, path, err)
}

// unwritable tells what the user can mend (a path) from what may pass.
func unwritable(dir string, err error) error {
	var cause = err
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		cause = p.Err
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return &connector.Error{Op: opSink, Err: fmt.Errorf("output directory %s: another sink of this job writes there", dir), Hint: "give each sink a directory of its own"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist), strings.Contains(cause.Error(), "not a directory"), strings.Contains(cause.Error(), "read-only"):
		return &connector.Error{Op: opSink, Err: fmt.Errorf("output directory %s is not writable: %w", dir, cause)}
	}
	return failed("open output in", dir, cause)
}

// writer appends lines to a pending file, and begins another one behind each that was prepared.
type writer struct {
	on     durable.FS
	format *text.Format
	task   connector.SinkTask
	dir    string
	n      int          // files so far
	file   durable.File // nil behind a Prepare
	out    *bufio.Writer
	line   []byte
	c      committable // of file
}

func (w *writer) path() string { return filepath.Join(w.c.Dir, w.c.Pending) }

// Write appends the batch's records as lines.
func (w *writer) Write(b *abi.Batch, _ time.Time) (time.Time, error) {
	if b.N > 0 && w.file == nil {
		if err := w.begin(); err != nil {
			return time.Time{}, err
		}
	}
	for i := range b.N {
		line, err := w.format.Append(w.line[:0], b.Value(i))
		if err != nil {
			return time.Time{}, fmt.Errorf("file sink: write record: %w", err)
		}
		w.line = append(line, '\n')
		n, err := w.out.Write(w.line)
		w.c.Bytes += int64(n)
		if err != nil {
			return time.Time{}, failed("write", w.path(), err)
		}
	}
	w.c.Rows += int64(b.N)
	return time.Time{}, nil
}

// Prepare makes the file durable. One without a row goes on: there is nothing to commit.
func (w *writer) Prepare(context.Context) ([]connector.Committable, error) {
	if w.file == nil || w.c.Rows == 0 {
		return nil, nil
	}
	if err := w.out.Flush(); err != nil {
		return nil, failed("write", w.path(), err)
	}
	if err := w.sync(); err != nil {
		return nil, failed("sync", w.path(), err)
	}
	if err := w.on.SyncDir(w.c.Dir); err != nil {
		return nil, failed("sync", w.c.Dir, err)
	}
	data, err := json.Marshal(w.c)
	if err != nil {
		return nil, fmt.Errorf("file sink: prepare %s: %w", w.path(), err)
	}
	if err := w.file.Close(); err != nil {
		return nil, failed("close", w.path(), err)
	}
	w.file = nil
	return []connector.Committable{{Data: data}}, nil
}

func (w *writer) sync() error {
	if failpoint.Planted(failpoint.UnsyncedOutput) {
		return nil
	}
	return w.file.Sync()
}

// Close removes a file that was not prepared.
func (w *writer) Close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return errors.Join(err, w.on.Remove(w.path()))
}

// Commit renames pending files to their final names. What has its final name already was committed before. All names are
// looked at before the first is changed, so that an obstacle does not leave a part of the output visible.
func (s *Sink) Commit(_ context.Context, job string, checkpoint uint64, prepared []connector.Committable) error {
	var renames [][2]string
	dirs := map[string]bool{}
	for _, p := range prepared {
		var c committable
		if err := json.Unmarshal(p.Data, &c); err != nil {
			return fmt.Errorf("file sink: commit %s: %w", p.Data, err)
		}
		from, to := filepath.Join(c.Dir, c.Pending), filepath.Join(c.Dir, finalName(job, checkpoint, c.Subtask, c.N))
		_, pending := os.Lstat(from)
		_, final := os.Lstat(to)
		switch {
		case pending == nil && errors.Is(final, fs.ErrNotExist):
			renames = append(renames, [2]string{from, to})
			dirs[c.Dir] = true
		case errors.Is(pending, fs.ErrNotExist) && final == nil:
			dirs[c.Dir] = true
		case pending == nil && final == nil:
			return fmt.Errorf("file sink: commit %s: something else has that name", to)
		case final != nil:
			return fmt.Errorf("file sink: commit %s: %w", to, cmp.Or(pending, final))
		}
	}
	for _, r := range renames {
		if err := s.on.Rename(r[0], r[1]); err != nil {
			return fmt.Errorf("file sink: commit %s: %w", r[1], err)
		}
	}
	for dir := range dirs {
		if err := s.on.SyncDir(dir); err != nil {
			return fmt.Errorf("file sink: commit: sync %s: %w", dir, err)
		}
	}
	return nil
}

// Abort removes the pending files of attempts before the given one.
func (s *Sink) Abort(_ context.Context, job string, before uint32) error {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return fmt.Errorf("file sink: abort: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("file sink: abort: %w", err)
	}
	for _, e := range entries {
		attempt, ok := attemptOf(e.Name(), job)
		if !ok || attempt >= before {
			continue
		}
		if err := s.on.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("file sink: abort: %w", err)
		}
	}
	return nil
}

// attemptOf reads the attempt out of a pending name of the job.
func attemptOf(name, job string) (uint32, bool) {
	rest, ok := strings.CutPrefix(name, ".part-"+job+"-")
	if !ok || !strings.HasSuffix(name, ".pending") {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(number, 10, 32)
	return uint32(n), err == nil
}

// Guarantee is ExactlyOnce: pending files are not visible.
func (s *Sink) Guarantee() connector.Guarantee { return connector.ExactlyOnce }
