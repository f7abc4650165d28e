//go:build nexmark

package nexmark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/nexmark/reference"
)

// keys are the columns that tell the rows apart which a query revises.
var keys = map[string][]string{
	"q4": {"id"}, "q9": {"id"}, "q15": {"day"}, "q16": {"channel", "day"}, "q17": {"auction", "day"}, "q18": {"bidder", "auction"},
	"q19": {"auction", "rank_number"},
}

// Of rows that are put out each time they change, the last ones are those of the reference.
func TestUpdates(t *testing.T) {
	wasmill, module := built(t)
	path, events := eventFile(t, wasmill, made)
	for name, columns := range keys {
		t.Run(name, func(t *testing.T) {
			q, err := reference.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			wasmill.Run(t, "run", module, "--param", "query="+name, "--param", "updates=all", "--param", "input="+path, "--param", "output="+out, "--parallelism", "2").OK(t)
			changes, last := lastOf(t, out, columns)
			if changes <= len(last) {
				t.Errorf("%d changes of %d rows: none was revised", changes, len(last))
			}
			folded := t.TempDir()
			if err := os.WriteFile(filepath.Join(folded, "rows.json"), []byte(strings.Join(last, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			same(t, reference.Expect(q, events), folded)
		})
	}
}

// lastOf counts the changes below dir, and returns the last row of each key. All of a key are in the files of one subtask.
func lastOf(t *testing.T, dir string, columns []string) (changes int, rows []string) {
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var row map[string]any
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			key, op := "", fmt.Sprintf(`{"op":"%v",`, row["op"])
			for _, c := range columns {
				key += fmt.Sprint(row[c], " ")
			}
			rest, found := strings.CutPrefix(strings.TrimSpace(string(line)), op)
			if !found {
				t.Fatalf("a row that does not begin with its op: %s", line)
			}
			last[key] = "{" + rest
			changes++
		}
	}
	for _, row := range last {
		rows = append(rows, row)
	}
	return changes, rows
}
