package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fileRows are the rows of all files below a directory, but for hidden ones and those whose name begins with an underscore. A
// folder that is called column=value gives its rows that column.
func fileRows(q *Query, dir string) rows {
	if q.Name == "q12" {
		return counted(filesOf(append(slices.Clone(q.Columns), "starttime", "endtime"), dir), q.Columns)
	}
	return filesOf(q.Columns, dir)
}

func filesOf(columns []string, dir string) rows {
	return func(each func(row, where string)) error {
		return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if path != dir && strings.ContainsAny(entry.Name()[:1], "._") {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if entry.IsDir() {
				return nil
			}
			folders, err := folderColumns(dir, path)
			if err != nil {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return readRows(f, path, columns, folders, each)
		})
	}
}

// folderColumns are the columns that the names of the folders between dir and a file give.
func folderColumns(dir, path string) (map[string]string, error) {
	below, err := filepath.Rel(dir, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	columns := map[string]string{}
	for _, folder := range strings.Split(below, string(filepath.Separator)) {
		if name, value, ok := strings.Cut(folder, "="); ok {
			if columns[name], err = url.PathUnescape(value); err != nil {
				return nil, fmt.Errorf("%s: folder %s: %w", path, folder, err)
			}
		}
	}
	return columns, nil
}

func readRows(r io.Reader, path string, columns []string, folders map[string]string, each func(row, where string)) error {
	err := eachLine(r, func(n int, line []byte) error {
		row, err := canonical(line, columns, folders)
		if err != nil {
			return err
		}
		each(row, fmt.Sprintf("%s:%d", path, n))
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// counted adds up the windows of q12, whose times nobody can foresee.
func counted(windows rows, columns []string) rows {
	return func(each func(row, where string)) error {
		count := map[int64]int64{}
		where := map[int64]string{}
		var bad error
		err := windows(func(row, at string) {
			var w struct {
				Bidder int64 `json:"bidder"`
				Count  int64 `json:"bid_count"`
			}
			if err := json.Unmarshal([]byte(row), &w); err != nil && bad == nil {
				bad = fmt.Errorf("%s: %w", at, err)
			}
			count[w.Bidder] += w.Count
			where[w.Bidder] = at
		})
		if err := errors.Join(err, bad); err != nil {
			return fmt.Errorf("add up the windows: %w", err)
		}
		for bidder, n := range count {
			row := Row{bidder, n}.AppendJSON(nil, columns)
			each(string(bytes.TrimRight(row, "\n")), where[bidder])
		}
		return nil
	}
}
