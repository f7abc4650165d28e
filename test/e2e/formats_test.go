package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

// table is rows as test/guests/formats.c takes them, and what it is to make of them.
type table struct {
	input   []byte // lines of JSON, some of which are no rows
	good    []byte // those that are
	copies  string // sorted, as JSON
	counts  string
	letters []string // beginnings of what is told of the others
	bad     int
}

// newTable makes n lines up, in disorder of up to 4 s.
func newTable(n int) *table {
	var t table
	var copies strings.Builder
	counts := map[string]int{}
	begin := time.Date(2026, 1, 31, 23, 50, 0, 0, time.UTC)
	for i := range n {
		at := begin.Add(time.Duration(i)*10*time.Millisecond - time.Duration(i*7919%4000)*time.Millisecond)
		name := fmt.Sprintf("näme \"%d\"", i%50)
		line := fmt.Sprintf(`{"unwanted":{"a":[%d,"}"]},"id":%d,"name":%q,"price":%d.%02d,"at":%q,"tags":["t%d",null]}`,
			i, i, name, i/100, i%100, at.Format("2006-01-02T15:04:05.000"), i%3)
		if i%1000 == 999 {
			line = strings.Replace(line, `"id":`, `"id":x`, 1)
			t.letters = append(t.letters, fmt.Sprintf("byte %d: id: \"x%d", len(t.input)+strings.Index(line, "x"), i))
			t.bad++
		} else {
			fmt.Fprintf(&copies, `{"id":%d,"name":%q,"price":%d.%02d,"at":"%sZ","tags":["t%d",null]}`+"\n",
				i, name, i/100, i%100, at.Format("2006-01-02T15:04:05.000"), i%3)
			minute := at.Truncate(time.Minute)
			const layout = "2006-01-02T15:04:05.000Z"
			counts[fmt.Sprintf(`{"start":%q,"end":%q,"key":%q,"value":`, minute.Format(layout), minute.Add(time.Minute).Format(layout), name)]++
			t.good = append(append(t.good, line...), '\n')
		}
		t.input = append(append(t.input, line...), '\n')
	}
	t.copies = sorted(copies.String())
	var lines strings.Builder
	for window, count := range counts {
		fmt.Fprintf(&lines, "%s%d}\n", window, count)
	}
	t.counts = sorted(lines.String())
	return &t
}

// check holds what a job has written, as JSON, against the table.
func (want *table) check(t *testing.T, dir string) {
	t.Helper()
	harness.Same(t, harness.Output(t, filepath.Join(dir, "copies")), want.copies)
	harness.Same(t, harness.Output(t, filepath.Join(dir, "counts")), want.counts)
}

func formatsGuest(t *testing.T) string {
	return filepath.Join(harness.Root(t), "test/guests/formats.wasm")
}

// What of the input is no row is told of once, and everything else counts once, whatever is killed meanwhile.
func TestRowsOfJSONLinesCountOnce(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	dir := t.TempDir()
	want := newTable(200_000)
	input := filepath.Join(dir, "in.json")
	if err := os.WriteFile(input, want.input, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, parallelism := range []int{1, 2} {
		t.Run(fmt.Sprint("parallelism ", parallelism), func(t *testing.T) {
			pace := paced(t)
			cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
			out := filepath.Join(t.TempDir(), "out")
			run := cluster.Start(formatsGuest(t), "--param", "input="+input, "--param", "output="+out, "--param", "bad=deadLetter", "--parallelism", fmt.Sprint(parallelism))
			killAtCheckpoints(t, cluster, nil, 2)
			pace.full()
			harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
			run.Wait()
			j := cluster.Job()
			if j.State != api.JobFinished {
				t.Fatalf("job is %s: %v", j.State, j.Failure)
			}
			info := built.wasmill.Run(t, "info", string(j.ID), "--jobmanager", cluster.URL).OK(t)
			if told := fmt.Sprintf("%d of files, in dead letters", want.bad); !strings.Contains(info.Stdout, told) {
				t.Errorf("info does not say %q: %s", told, info.Stdout)
			}
			if len(j.Skipped) != 1 || j.Skipped[0] != (api.Skipped{Operator: "files", OnTrap: "deadLetter", Count: int64(want.bad)}) {
				t.Errorf("skipped %+v (expected %d of files)", j.Skipped, want.bad)
			}
			want.check(t, out)
			letters := harness.Output(t, filepath.Join(out, "letters"))
			if n := strings.Count(letters, "\n"); n != want.bad {
				t.Errorf("%d letters (expected %d)", n, want.bad)
			}
			for _, l := range want.letters {
				if strings.Count(letters, input+", "+l) != 1 {
					t.Errorf("%d letters of %s (expected 1)", strings.Count(letters, input+", "+l), l)
				}
			}
		})
	}
}

// killAtCheckpoints kills a TaskManager, one after the other, as often when the job behind that one has completed another checkpoint.
func killAtCheckpoints(t *testing.T, cluster *harness.Cluster, behind *api.Job, times int) {
	t.Helper()
	follow := follower{t: t, cluster: cluster, behind: behind}
	for kills := range times {
		follow.completes(1)
		follow.goesOn()
		cluster.Restart(fmt.Sprintf("taskmanager-%d", 1+kills%2))
	}
}

// Rows go from one format to another and back, and are the same, whatever is killed meanwhile.
func TestFormatsHoldTheSameRows(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	dir := t.TempDir()
	want := newTable(100_000)
	input := filepath.Join(dir, "in.json")
	if err := os.WriteFile(input, want.good, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"csv", "avro", "parquet"} {
		t.Run(format, func(t *testing.T) {
			want, tags := *want, "yes"
			if format == "csv" { // it has no lists
				tags = "no"
				want.copies = regexp.MustCompile(`,"tags":\["t\d",null]`).ReplaceAllString(want.copies, "")
			}
			pace := paced(t)
			cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
			out := t.TempDir()
			var last *api.Job
			for k, job := range [][]string{
				{"input=" + input, "to=" + format, "output=" + filepath.Join(out, format)},
				{"input=" + filepath.Join(out, format, "copies", "part-*"), "from=" + format, "output=" + filepath.Join(out, "json")},
			} {
				args := []string{"--parallelism", fmt.Sprint(2 - k), "--param", "tags=" + tags}
				for _, p := range job {
					args = append(args, "--param", p)
				}
				pace.slow()
				run := cluster.Start(formatsGuest(t), args...)
				killAtCheckpoints(t, cluster, last, 1)
				pace.full()
				harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
				run.Wait()
				if last = cluster.Job(); last.State != api.JobFinished {
					t.Fatalf("job is %s: %v", last.State, last.Failure)
				}
			}
			want.check(t, filepath.Join(out, "json"))
		})
	}
}

// Structs of a Go guest are rows.
func TestRowsOfAGoGuest(t *testing.T) {
	dir, module := t.TempDir(), goGuest(t, "testdata/rows")
	want := newTable(20_000)
	input, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out")
	if err := os.WriteFile(input, want.input, 0o666); err != nil {
		t.Fatal(err)
	}
	r := built.wasmill.Run(t, "run", module, "--param", "input="+input, "--param", "output="+out, "--parallelism", "2", "--output", "json").OK(t)
	var job api.Job
	if err := json.Unmarshal([]byte(r.Stdout), &job); err != nil {
		t.Fatal(err)
	}
	if len(job.Skipped) != 1 || job.Skipped[0] != (api.Skipped{Operator: "files", OnTrap: "skip", Count: int64(want.bad)}) {
		t.Errorf("skipped %+v (expected %d of files)", job.Skipped, want.bad)
	}
	want.check(t, out)
}

func TestBadRowsAsAUserSeesThem(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "in.json")
	if err := os.WriteFile(input, []byte("{\"id\":1,\"name\":\"a\",\"at\":0}\n{\"id\":2,\"name\":7}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		params []string
		want   string
	}{
		{nil, `operator "files": ` + input + `, byte 42: name: "7}" (expected a string): "{\"id\":2,\"name\":7}"` + "\n  hint: mend the input or the source's schema, or have the source leave out what it cannot read: OnTrap(Skip) or OnTrap(DeadLetter)"},
		{[]string{"timestamps=when"}, `source "files": file source: timestamps: "when": no field "when" in row(id: i64, name: utf8, price: decimal(12, 2)?, at: ms?, tags: list(utf8?)?)`},
		{[]string{"from=xml"}, `source "files": file source: format: "xml" (expected `},
		{[]string{"from=lines"}, `source "files": file source: timestamps: "at" (expected offset, or nothing; of the fields of rows, a format such as json)`},
		{[]string{"to=lines"}, `sink "files-2": file sink: columns: field "tags" is a list, which has no text form`},
		{[]string{"to=csv"}, `sink "files-2": file sink: field "tags" is a list, which CSV has no form of`},
		{[]string{"from=csv", "tags=no"}, `source "files": file source: input ` + input + `: header: byte 1: a " in a column that does not begin with one`},
		{[]string{"from=avro"}, `source "files": file source: input ` + input + `: no Avro object container file`},
		{[]string{"from=parquet"}, `source "files": file source: input ` + input + `: no Parquet file`},
		{[]string{"to=avro", "times=sql"}, `file sink: times: given (expected format json or csv, and not avro)`},
		{[]string{"times=utc"}, `file sink: times: "utc" (expected iso, sql or ms)`},
	} {
		args := []string{"run", formatsGuest(t), "--param", "input=" + input, "--param", "output=" + filepath.Join(dir, "out")}
		for _, p := range c.params {
			args = append(args, "--param", p)
		}
		if r := built.wasmill.Run(t, args...); r.Code != 1 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%v: status %d, %s\nexpected %s", c.params, r.Code, r.Stderr, c.want)
		}
	}
	r := built.wasmill.Run(t, "run", formatsGuest(t), "--param", "input="+input, "--param", "output="+filepath.Join(dir, "out"), "--param", "bad=skip").OK(t)
	if !strings.Contains(r.Stderr, "WARN left out: "+input+", byte 42: name: ") {
		t.Errorf("what is skipped is not told: %s", r.Stderr)
	}
}
