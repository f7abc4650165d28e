package file

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	Size  int64  `json:"size,omitempty"`  // of the file when it was cut
	Sum   string `json:"sum,omitempty"`   // fingerprint of that

	Header int64    `json:"header,omitempty"` // bytes of the line that names the columns
	Names  []string `json:"names,omitempty"`  // of the columns, as it has them

	Groups []int64 `json:"-"`               // bytes of each row group of a Parquet file
	Group  int     `json:"group,omitempty"` // the one to read
}

// Enumerate lists the byte ranges of the files that the pattern names.
func (s *Source) Enumerate(_ context.Context, parallelism int) (connector.Splits, error) {
	paths, err := s.match()
	if err != nil {
		return connector.Splits{}, err
	}
	files := make([]span, len(paths))
	var total int64
	for i, p := range paths {
		if files[i], err = s.measure(p); err != nil {
			return connector.Splits{}, err
		}
		total += files[i].Size
	}
	step := min(max(total/int64(parallelism*splitsPerSubtask), minSplitBytes), maxSplitBytes)
	if s.csv.quotedNewlines {
		step = math.MaxInt64 // whether a line end is in quotes is only known from the beginning on
	}
	out := connector.Splits{Ordered: s.times != "" && len(paths) == 1}
	for _, f := range files {
		if s.format == formatParquet {
			out.Splits = append(out.Splits, rowGroups(f)...)
		} else {
			out.Splits = append(out.Splits, cut(f, step)...)
		}
	}
	return out, nil
}

// measure is a file, which must be one that can be read, as a whole.
func (s *Source) measure(path string) (span, error) {
	info, err := os.Stat(path)
	if err != nil {
		return span{}, s.missing(err)
	}
	if info.IsDir() {
		return span{}, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s is a directory", path), Hint: "to read the files in it: " + filepath.Join(path, "*")}
	}
	if !info.Mode().IsRegular() {
		return span{}, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s is not a regular file", path)}
	}
	f, err := os.Open(path)
	if err != nil {
		return span{}, s.missing(err)
	}
	defer f.Close()
	if n, _ := f.Read(make([]byte, 1)); n > 0 && info.Size() == 0 {
		return span{}, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s does not tell its size", path), Hint: "copy it to a regular file"}
	}
	sum, err := fingerprint(f, info.Size())
	if err != nil {
		return span{}, fmt.Errorf("file source: read input %s: %w", path, err)
	}
	sp := span{Path: path, End: info.Size(), Codec: codecOf(path), Size: info.Size(), Sum: sum}
	switch {
	case s.csv.header:
		err = s.measureHeader(f, &sp)
	case s.format == formatAvro:
		sp.Codec = "" // compressed or not is for its blocks to say
		err = s.checkAvro(f, path)
	case s.format == formatParquet:
		sp.Codec = ""
		sp.Groups, err = s.measureParquet(f, path, info.Size())
	}
	return sp, err
}

// cut divides one file; a compressed one cannot be entered in the middle.
func cut(file span, step int64) []connector.Split {
	if file.Codec != "" {
		return []connector.Split{split(file, filepath.Base(file.Path))}
	}
	var out []connector.Split
	for at := int64(0); at < file.Size; at += min(step, file.Size) {
		part := file
		part.Start, part.End = at, at+min(step, file.Size-at)
		out = append(out, split(part, fmt.Sprintf("%s[%d:%d]", filepath.Base(file.Path), part.Start, part.End)))
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

// match lists the files of the pattern in the order of their names, directories left out; a path that exists is never
// taken for a pattern.
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
	paths = slices.DeleteFunc(paths, func(p string) bool {
		info, err := os.Stat(p)
		return err == nil && info.IsDir()
	})
	if len(paths) == 0 {
		return nil, s.missing(fs.ErrNotExist)
	}
	return paths, nil
}

// missing says which input cannot be read.
func (s *Source) missing(err error) error {
	abs, _ := filepath.Abs(s.path)
	switch {
	case os.IsNotExist(err) && strings.ContainsAny(s.path, "*?["):
		return &connector.Error{Op: opSource, Err: fmt.Errorf("no file matches input %s", abs)}
	case os.IsNotExist(err):
		return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s does not exist", abs)}
	case os.IsPermission(err):
		return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s may not be read: permission denied", abs)}
	}
	return &connector.Error{Op: opSource, Err: err}
}
