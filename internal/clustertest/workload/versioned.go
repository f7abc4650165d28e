package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Versioned says which version of its module has made each line, where it is read and where it is counted: an exchange of
// modules must fall between two lines, the same two in both places, and hold from then on.
var Versioned = &Workload{
	Name: "versioned", Guest: "versioned", Params: map[string]string{"version": "1"}, Outputs: []string{""},
	Make: func(_ uint64, records int) Input {
		files := make([][]string, 3)
		for i := range records {
			files[i%len(files)] = append(files[i%len(files)], strconv.Itoa(i))
		}
		return Input{"input": files}
	},
	Check: checkVersioned,
}

func checkVersioned(in Input, out map[string][]File) error {
	type last struct{ n, version int }
	byKey, seen := map[int]last{}, map[int]bool{}
	for _, l := range linesOf(out[""]) {
		var key, n, number, made, counted int
		if _, err := fmt.Sscanf(strings.ReplaceAll(l, ",", " "), "%d %d %d %d %d", &key, &n, &number, &made, &counted); err != nil {
			return fmt.Errorf("line %q: %w", l, err)
		}
		before := byKey[key]
		switch {
		case seen[number]:
			return fmt.Errorf("line %q: its number came before", l)
		case n != before.n+1:
			return fmt.Errorf("line %q behind count %d of its key", l, before.n)
		case made != counted:
			return fmt.Errorf("line %q was made by one version and counted by another", l)
		case made < before.version:
			return fmt.Errorf("line %q behind one of version %d", l, before.version)
		}
		byKey[key], seen[number] = last{n, made}, true
	}
	records := 0
	for _, lines := range in["input"] {
		records += len(lines)
	}
	if len(seen) != records {
		return missing("%d of %d lines came out", len(seen), records)
	}
	return nil
}
