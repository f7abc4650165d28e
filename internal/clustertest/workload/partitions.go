package workload

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"strings"
	"time"
)

// Partitions numbers the lines of each key and writes them to directories by day and key, in many small files.
var Partitions = &Workload{
	Name: "partitions", Guest: "partitions", Outputs: []string{""}, Deep: true,
	Make: func(seed uint64, records int) Input {
		r := rand.New(rand.NewPCG(seed, 21))
		files := make([][]string, 6)
		for i := range records {
			f := i % len(files) // has keys of its own, and so an order of each
			files[f] = append(files[f], fmt.Sprintf("../k%d-%d,%d", f, r.IntN(6), r.IntN(5*24)))
		}
		return Input{"input": files}
	},
	Check: checkPartitions,
}

// checkPartitions wants every line once, in the directory of its day and key, and those of a directory in their order.
func checkPartitions(in Input, out map[string][]File) error {
	lines := map[string][]string{} // by key
	for _, file := range in["input"] {
		for _, l := range file {
			key, _, _ := strings.Cut(l, ",")
			lines[key] = append(lines[key], l)
		}
	}
	seen := map[string]bool{}
	last := map[string]int{} // number of the last line, by directory
	for _, f := range out[""] {
		for _, l := range f.Lines {
			key, rest, _ := strings.Cut(l, ",")
			var hour, n int
			if _, err := fmt.Sscanf(rest, "%d,%d", &hour, &n); err != nil {
				return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
			}
			if n < 1 || n > len(lines[key]) || lines[key][n-1] != fmt.Sprintf("%s,%d", key, hour) {
				return fmt.Errorf("%s: %q is not what line %d of its key makes", f.Name, l, n)
			}
			dir := path.Dir(f.Name)
			if seen[l] || n <= last[dir] {
				return fmt.Errorf("%s: %q came out again, or behind line %d", f.Name, l, last[dir])
			}
			seen[l], last[dir] = true, n
			if err := placed(dir, key, hour); err != nil {
				return fmt.Errorf("%s: %q: %w", f.Name, l, err)
			}
		}
	}
	all := 0
	for _, l := range lines {
		all += len(l)
	}
	if len(seen) != all {
		return missing("%d of %d lines came out", len(seen), all)
	}
	return nil
}

// placed holds a directory against what belongs there.
func placed(dir, key string, hour int) error {
	day, name := path.Split(dir)
	want := time.Unix(int64(hour)*3600, 0).UTC().Format(time.DateOnly) + "/"
	if was, err := url.PathUnescape(name); err != nil || was != key || day != want {
		return fmt.Errorf("it is in the wrong directory (expected that of %s in %s)", key, want)
	}
	return nil
}
