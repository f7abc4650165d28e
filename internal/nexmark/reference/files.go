package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// found is a row of a file, valid during a call.
type found struct {
	line   []byte // canonical
	path   string
	number int // of the line, from 1
}

// rowsBelow calls do for every row of the files below a directory. A line that known takes is canonical as it stands.
func rowsBelow(dir string, columns []string, known func(line []byte) bool, do func(found)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != dir && strings.ContainsAny(entry.Name()[:1], "._"):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		folders, err := folderColumns(dir, path)
		if err != nil {
			return err
		}
		if err := rowsOf(path, columns, folders, known, do); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
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

// rowsOf calls do for every row of one file.
func rowsOf(path string, columns []string, folders map[string]string, known func(line []byte) bool, do func(found)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, func(n int, line []byte) error {
		if len(folders) > 0 || !known(line) {
			spelled, err := canonical(line, columns, folders)
			if err != nil {
				return err
			}
			line = []byte(spelled)
		}
		do(found{line, path, n})
		return nil
	})
}

// addedUp calls do for every bidder of q12, with the windows added up.
func addedUp(dir string, columns []string, do func(found)) error {
	count := map[int64]int64{}
	last := map[int64]found{}
	var bad error
	err := rowsBelow(dir, append(columns[:2:2], "starttime", "endtime"), func([]byte) bool { return false }, func(r found) {
		var w struct {
			Bidder int64 `json:"bidder"`
			Count  int64 `json:"bid_count"`
		}
		if err := json.Unmarshal(r.line, &w); err != nil && bad == nil {
			bad = fmt.Errorf("%s: line %d: %w", r.path, r.number, err)
		}
		count[w.Bidder] += w.Count
		last[w.Bidder] = r
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return fmt.Errorf("add up the windows: %w", err)
	}
	for bidder, n := range count {
		r := last[bidder]
		r.line = bytes.TrimRight(Row{bidder, n}.AppendJSON(nil, columns), "\n")
		do(r)
	}
	return nil
}
