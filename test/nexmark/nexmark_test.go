//go:build nexmark

// Package nexmark holds the queries of examples/nexmark against the answers in plain Go: bin/wasmill and the module that `make
// guests` compiles. `make test` runs it; the build tag keeps it out of `go test ./...`, which needs no Rust.
package nexmark

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/nexmark/reference"
	"github.com/wasmill/wasmill/test/harness"
)

// few says why a query has no more than ten rows.
var few = map[string]string{
	"q4":  "there are five categories",
	"q15": "there are two days",
}

func built(t *testing.T) (wasmill harness.Wasmill, module string) {
	t.Helper()
	wasmill = harness.Wasmill(filepath.Join(harness.Root(t), "bin/wasmill"))
	module = filepath.Join(harness.Root(t), "bin/guests/nexmark-rust.wasm")
	for _, path := range []string{string(wasmill), module} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: run make build guests first", err)
		}
	}
	return wasmill, module
}

// made are events without equal times that are up to 4 s out of order, for 20 minutes over a midnight.
var made = [][2]string{{"events", "300000"}, {"rate", "250"}, {"start", "2026-01-01T23:50:00Z"}, {"out-of-order", "4s"}}

// eventFile is a file of such events, and what the reference reads in it.
func eventFile(t *testing.T, wasmill harness.Wasmill, made [][2]string) (string, *reference.Events) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.json")
	args := []string{"nexmark", "generate", path}
	for _, option := range made {
		args = append(args, "--"+option[0], option[1])
	}
	wasmill.Run(t, args...).OK(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := reference.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return path, events
}

// same fails the test unless the files below dir have the rows of the answer, which are enough to tell it from a wrong one.
func same(t *testing.T, want *reference.Expected, dir string) {
	t.Helper()
	d, err := want.Compare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Same() || d.Got == 0 || d.Got <= 10 && few[d.Query] == "" {
		t.Errorf("%v (%s)", d, few[d.Query])
	}
}

// Each query has the rows of the reference at any parallelism, and in batch mode.
func TestQueries(t *testing.T) {
	wasmill, module := built(t)
	path, events := eventFile(t, wasmill, made)
	for i := range reference.Queries {
		q := &reference.Queries[i]
		t.Run(q.Name, func(t *testing.T) {
			want := reference.Expect(q, events)
			for _, flags := range [][]string{{"--parallelism", "1"}, {"--parallelism", "2"}, {"--parallelism", "4"}, {"--parallelism", "2", "--mode", "batch"}} {
				out := filepath.Join(t.TempDir(), "out")
				args := append([]string{"run", module, "--param", "query=" + q.Name, "--param", "input=" + path, "--param", "output=" + out}, flags...)
				wasmill.Run(t, args...).OK(t)
				t.Logf("with %v", flags)
				same(t, want, out)
			}
		})
	}
}

// q13 joins the table of a file: what is not in it has no row.
func TestSideInput(t *testing.T) {
	wasmill, module := built(t)
	path, events := eventFile(t, wasmill, made)
	side := filepath.Join(t.TempDir(), "side.json")
	var lines strings.Builder
	events.Side = map[int64]string{}
	for key := int64(0); key < 10_000; key += 3 {
		events.Side[key] = fmt.Sprintf("value %d", key)
		fmt.Fprintf(&lines, "{\"key\":%d,\"value\":%q}\n", key, events.Side[key])
	}
	if err := os.WriteFile(side, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	q13, err := reference.Find("q13")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	wasmill.Run(t, "run", module, "--param", "query=q13", "--param", "input="+path, "--param", "side="+side, "--param", "output="+out, "--parallelism", "2").OK(t)
	same(t, reference.Expect(q13, events), out)
}

// JSON that the guest reads and writes gives the same rows.
func TestJSONByGuest(t *testing.T) {
	wasmill, module := built(t)
	path, events := eventFile(t, wasmill, made)
	q0, err := reference.Find("q0")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	wasmill.Run(t, "run", module, "--param", "query=q0", "--param", "json=guest", "--param", "input="+path, "--param", "output="+out, "--parallelism", "2").OK(t)
	same(t, reference.Expect(q0, events), out)
}

// Events can be made in the job, and results dropped; what is no query is refused by name.
func TestGeneratorAndRefusal(t *testing.T) {
	wasmill, module := built(t)
	args := []string{"run", module, "--param", "input=generator", "--param", "events=50000", "--param", "output=blackhole", "--param"}
	wasmill.Run(t, append(args, "query=q5")...).OK(t)
	for want, params := range map[string][]string{
		`parameter "query": "q24" (expected q0 to q23)`:        {"query=q24"},
		`parameter "updates": "some" (expected final or all)`:  {"query=q9", "--param", "updates=some"},
		`parameter "json": "nobody" (expected host or guest)`:  {"query=q0", "--param", "json=nobody"},
		`parameter "json": guest (expected host: only q0 can)`: {"query=q1", "--param", "json=guest"},
	} {
		got := wasmill.Run(t, append(args, params...)...)
		if text := got.Stdout + got.Stderr; got.Code == 0 || !strings.Contains(text, want) {
			t.Errorf("exit status %d: %s\nexpected %s", got.Code, text, want)
		}
	}
}
