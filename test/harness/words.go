package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// ShellCounts is what a shell pipeline counts in the files: word<TAB>count lines in order.
func ShellCounts(t testing.TB, files ...string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `cat "$@" | LC_ALL=C tr -cs 'A-Za-z' '\n' | LC_ALL=C tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c | awk '{ print $2 "\t" $1 }'`, "sh")
	cmd.Args = append(cmd.Args, files...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("shell pipeline: %v", err)
	}
	return string(out)
}

// WindowCounts counts words a tumbling window of size milliseconds, where the time of a line is its byte offset:
// start<TAB>word<TAB>count lines in order.
func WindowCounts(t testing.TB, path string, size int64) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var offset int64
	for line := range bytes.SplitAfterSeq(data, []byte("\n")) {
		words := bytes.FieldsFunc(line, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
		for _, w := range words {
			counts[fmt.Sprintf("%d\t%s", offset/size*size, bytes.ToLower(w))]++
		}
		offset += int64(len(line))
	}
	var rows []string
	for k, n := range counts {
		rows = append(rows, fmt.Sprintf("%s\t%d\n", k, n))
	}
	sort.Strings(rows)
	return strings.Join(rows, "")
}

// Output is the sorted lines of the part files of a directory.
func Output(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, strings.SplitAfter(string(data), "\n")...)
	}
	sort.Strings(rows)
	return strings.Join(rows, "")
}

// Same fails the test where two results differ, by the first line that does.
func Same(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%d rows, want %d; the first that differs is %q, want %q", len(g)-1, len(w)-1, g[i], w[i])
		}
	}
	t.Fatalf("%d rows, want %d", len(g)-1, len(w)-1)
}

// NothingPending fails the test if the directory holds an output file that is not committed.
func NothingPending(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left in the output", e.Name())
		}
	}
}
