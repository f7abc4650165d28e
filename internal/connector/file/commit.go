package file

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/durable"
)

// committable is what a writer prepares: one pending file.
type committable struct {
	Dir       string `json:"dir"`
	Partition string `json:"partition,omitempty"` // the directory below Dir that it belongs to, with slashes
	Pending   string `json:"pending"`             // name in Dir
	Subtask   int    `json:"subtask"`
	N         int    `json:"n"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
}

// place is the directory that the file is committed to.
func (c *committable) place() string { return filepath.Join(c.Dir, filepath.FromSlash(c.Partition)) }

// pendingName names a file that is not visible yet. The attempt stands in it, so that what a lost attempt left behind can
// be told from what a later one prepared.
func pendingName(job string, attempt uint32, subtask, n int) string {
	return fmt.Sprintf(".part-%s-%d-%d-%d.pending", job, attempt, subtask, n)
}

func finalName(job string, checkpoint uint64, subtask, n int) string {
	return fmt.Sprintf("part-%s-%d-%d-%d", job, checkpoint, subtask, n)
}

// look sees whether a file can be renamed from its pending to its final name, or was. Where somebody has removed it or
// cut it off, the error is connector.ErrGone: who has it can put it back, and nothing else helps. Only lengths are compared: a file
// of as many other bytes is committed. To know it would take a sum of all that passes, and to read all of it again.
func (c *committable) look(job string, checkpoint uint64) (from, to string, committed bool, err error) {
	from, to = filepath.Join(c.Dir, c.Pending), filepath.Join(c.place(), finalName(job, checkpoint, c.Subtask, c.N))
	written, pending := os.Lstat(from)
	visible, final := os.Lstat(to)
	gone, none := errors.Is(pending, fs.ErrNotExist), errors.Is(final, fs.ErrNotExist)
	switch {
	case pending == nil && written.Size() != c.Bytes:
		err = connector.Gone(fmt.Errorf("%s has %d bytes (expected the %d that were written)", from, written.Size(), c.Bytes))
	case gone && final == nil && visible.Size() != c.Bytes:
		err = connector.Gone(fmt.Errorf("it has %d bytes (expected the %d that were written)", visible.Size(), c.Bytes))
	case pending == nil && none:
	case gone && final == nil:
		committed = true
	case pending == nil && final == nil:
		err = errors.New("something else has that name")
	case gone && none:
		err = connector.Gone(pending)
	default:
		err = cmp.Or(pending, final)
	}
	if err != nil {
		err = fmt.Errorf("file sink: commit %s: %w", to, err)
	}
	return from, to, committed, err
}

func parseCommittable(p connector.Committable) (c committable, err error) {
	if err := json.Unmarshal(p.Data, &c); err != nil {
		return c, fmt.Errorf("file sink: commit %s: %w", p.Data, err)
	}
	return c, nil
}

// Examine says which files Commit would refuse.
func (s *Sink) Examine(_ context.Context, job string, checkpoint uint64, prepared []connector.Committable) (all []connector.Obstacle, err error) {
	for i, p := range prepared {
		c, err := parseCommittable(p)
		if err != nil {
			return nil, err
		}
		if _, to, _, err := c.look(job, checkpoint); err != nil {
			all = append(all, connector.Obstacle{Prepared: i, Name: to, Err: err})
		}
	}
	return all, nil
}

// Commit renames pending files to their final names. What has its final name already was committed before. All names are
// looked at before the first is changed, so that an obstacle does not leave a part of the output visible.
func (s *Sink) Commit(_ context.Context, job string, checkpoint uint64, prepared []connector.Committable) error {
	var renames [][2]string
	dirs := map[string]bool{} // whose names were changed, now or before
	for _, p := range prepared {
		c, err := parseCommittable(p)
		if err != nil {
			return err
		}
		from, to, committed, err := c.look(job, checkpoint)
		if err != nil {
			return err
		}
		if !committed {
			renames = append(renames, [2]string{from, to})
		}
		for dir := c.place(); !dirs[dir]; dir = filepath.Dir(dir) {
			dirs[dir] = true
			if dir == filepath.Clean(c.Dir) {
				break
			}
		}
	}
	for _, r := range renames {
		if err := durable.MakeDir(s.on, filepath.Dir(r[1]), 0o777); err != nil { // somebody may have removed it
			return fmt.Errorf("file sink: commit %s: %w", r[1], err)
		}
		if err := s.on.Rename(r[0], r[1]); err != nil {
			return fmt.Errorf("file sink: commit %s: %w", r[1], err)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := s.on.SyncDir(dir); err != nil {
			return fmt.Errorf("file sink: commit: sync %s: %w", dir, err)
		}
	}
	return nil
}

// Abort removes the pending files of attempts before the given one, so that no power cut brings them back: not those either that
// were removed before, for nobody comes here again when the job has ended.
func (s *Sink) Abort(_ context.Context, job string, before uint32) error {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return fmt.Errorf("file sink: abort: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = connector.Gone(err)
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
	if err := s.on.SyncDir(dir); err != nil {
		return fmt.Errorf("file sink: abort: sync %s: %w", dir, err)
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
