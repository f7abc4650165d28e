package file

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmill/wasmill/internal/connector"
)

// Ranges between minSplitBytes and maxSplitBytes are cut so that each subtask gets about splitsPerSubtask of them: enough
// to even out unequal speeds, few enough that asking for one costs nothing.
const (
	minSplitBytes    = 1 << 20
	maxSplitBytes    = 64 << 20
	splitsPerSubtask = 4
)

// span is a split's data: the lines of a file whose first byte lies in [Start, End). A compressed file is one span, whose
// End is not used.
type span struct {
	Path  string `json:"path"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Codec string `json:"codec,omitempty"` // gzip, zstd
}

// Enumerate lists the byte ranges of the files that the pattern names.
func (s *Source) Enumerate(_ context.Context, parallelism int) (connector.Splits, error) {
	paths, err := s.match()
	if err != nil {
		return connector.Splits{}, err
	}
	sizes := make([]int64, len(paths))
	var total int64
	for i, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return connector.Splits{}, s.missing(err)
		}
		if !info.Mode().IsRegular() {
			return connector.Splits{}, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s is not a file", p), Hint: "to read the files of a directory: " + filepath.Join(p, "*")}
		}
		if f, err := os.Open(p); err != nil {
			return connector.Splits{}, s.missing(err)
		} else {
			f.Close()
		}
		sizes[i] = info.Size()
		total += info.Size()
	}
	step := min(max(total/int64(parallelism*splitsPerSubtask), minSplitBytes), maxSplitBytes)
	out := connector.Splits{Ordered: s.offsets && len(paths) == 1}
	for i, p := range paths {
		out.Splits = append(out.Splits, cut(p, sizes[i], step)...)
	}
	return out, nil
}

// cut divides one file; a compressed one cannot be entered in the middle.
func cut(path string, size, step int64) []connector.Split {
	codec := codecOf(path)
	if codec != "" {
		return []connector.Split{split(span{Path: path, End: size, Codec: codec}, filepath.Base(path))}
	}
	var out []connector.Split
	for at := int64(0); at < size; at += step {
		end := min(at+step, size)
		out = append(out, split(span{Path: path, Start: at, End: end}, fmt.Sprintf("%s[%d:%d]", filepath.Base(path), at, end)))
	}
	return out
}

func split(sp span, id string) connector.Split {
	data, _ := json.Marshal(sp) // a struct of strings and integers always marshals
	return connector.Split{ID: id, Data: data, Bytes: sp.End - sp.Start}
}

func codecOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		return "gzip"
	case ".zst":
		return "zstd"
	}
	return ""
}

// match lists the files of the pattern in the order of their names; a path that exists is never taken for a pattern.
func (s *Source) match() ([]string, error) {
	abs, err := filepath.Abs(s.path)
	if err != nil {
		return nil, &connector.Error{Op: opSource, Err: err}
	}
	if _, err := os.Lstat(abs); err == nil {
		return []string{abs}, nil
	}
	paths, err := filepath.Glob(abs)
	if err != nil {
		return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("input pattern %s: %w", s.path, err)}
	}
	if len(paths) == 0 {
		return nil, s.missing(fs.ErrNotExist)
	}
	return paths, nil
}

// missing says which input cannot be read, by its absolute name: relative ones are resolved where the process was started.
func (s *Source) missing(err error) error {
	abs, _ := filepath.Abs(s.path)
	switch {
	case os.IsNotExist(err):
		e := &connector.Error{Op: opSource, Err: fmt.Errorf("input %s does not exist", abs)}
		if strings.ContainsAny(s.path, "*?[") {
			e.Err = fmt.Errorf("no input matches %s", abs)
		}
		if !filepath.IsAbs(s.path) {
			e.Hint = fmt.Sprintf("%q is relative to the directory that the cluster was started in; give an absolute path", s.path)
		}
		return e
	case os.IsPermission(err):
		return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s may not be read: permission denied", abs)}
	}
	return &connector.Error{Op: opSource, Err: err}
}
