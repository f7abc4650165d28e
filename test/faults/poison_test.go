//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// poisonEvery is how many of the lines are poison: every so many.
const poisonEvery = 7

// poisons are records that a guest cannot take, or that are none.
func poisons() (all []scenario) {
	for _, way := range []string{"trap", "garbage", "fail"} {
		for _, policy := range []string{"deadLetter", "skip"} {
			all = append(all, scenario{row: "21", name: way + ", " + policy, workload: poison(way, policy), records: 12_000, pace: 700 * time.Millisecond,
				fullOnly: way == "fail" || way == "garbage" && policy == "skip",
				fault: func(x *run) {
					x.completes(1)
					for range 2 {
						x.strike()
						x.completes(1)
					}
					x.mended()
				},
				last: func(x *run) { x.leftOut(policy) }})
		}
		all = append(all, scenario{row: "21", name: way + ", the job fails", workload: poison(way, "fail"), records: 200, fullOnly: way == "garbage",
			fault: func(x *run) { x.failsOnce(way, poisoned) }, end: func(*run) {}})
	}
	for _, bad := range []struct{ name, line, want string }{
		{"a record of 17 MiB", strings.Repeat("x", 17<<20) + ",1", fmt.Sprintf("line longer than %d bytes", abi.MaxRecordBytes)},
		{"a field too few", "nothing", `failed: a line with a field too few: record \d+ of .*: "nothing"`},
	} {
		all = append(all, scenario{row: "21", name: bad.name, workload: poison("trap", "fail"), records: 6,
			prepare: func(x *run) { x.addLine(bad.line) },
			fault:   func(x *run) { x.failsOnce(bad.name, regexp.MustCompile(bad.want)) }, end: func(*run) {}})
	}
	return append(all, scenario{row: "21", name: "bytes that are no UTF-8", workload: garbled, records: 20_000, fault: func(x *run) {
		x.completes(1)
		x.strike()
		x.mended()
		x.effect("%d lines that are no UTF-8", len(x.input["input"][0]))
	}})
}

// poisoned names one of the lines that are poison, and where it came from.
var poisoned = regexp.MustCompile(`^operator "take-keyed": .*: record \d+ of the input from "key", subtask \d: "k\d,(7|14|21|28|35|42|49|56|63|70|77|84|91|98)"$`)

// garbled is lines of text by their codec, whose keys are no UTF-8: no host reads them as text, and they come out as they came.
var garbled = &workload.Workload{
	Name: "garbled", Guest: workload.Poison.Guest, Outputs: []string{"good"}, Params: map[string]string{"every": "1000000000", "on": "process"},
	Make: func(_ uint64, records int) workload.Input {
		var lines []string
		for i := range records {
			lines = append(lines, fmt.Sprintf("k\xff\xfe%d,%d", i%5, i+1))
		}
		return workload.Input{"input": {lines}}
	},
	Check: func(in workload.Input, out map[string][]workload.File) error {
		next := map[string]int{}
		lines := 0
		for _, f := range out["good"] {
			for _, l := range f.Lines {
				key, rest, _ := strings.Cut(l, ",")
				next[key]++
				if lines++; !strings.HasSuffix(rest, fmt.Sprintf(",%d", next[key])) {
					return fmt.Errorf("%s: key %q: %q (expected count %d)", f.Name, key, l, next[key])
				}
				if want := in["input"][0][5*(next[key]-1)+int(key[len(key)-1]-'0')]; !strings.HasPrefix(l, want+",") {
					return fmt.Errorf("%s: %q came out for %q", f.Name, l, want)
				}
			}
		}
		if want := len(in["input"][0]); lines != want || len(next) != 5 {
			return fmt.Errorf("%d lines of %d keys came out (expected %d of 5)", lines, len(next), want)
		}
		return nil
	},
}

// poison is the workload of that name, with another way to fail and another policy.
func poison(way, policy string) *workload.Workload {
	w := *workload.Poison
	w.Params = map[string]string{"every": fmt.Sprint(poisonEvery), "on": "process", "way": way, "ontrap": policy}
	if policy == "skip" { // nothing tells of them
		w.Outputs = []string{"good"}
		w.Check = func(in workload.Input, out map[string][]workload.File) error {
			var letters workload.File
			for i, l := range in["input"][0] {
				if (i+1)%poisonEvery == 0 {
					letters.Lines = append(letters.Lines, "record\t\t\t"+l)
				}
			}
			return workload.Poison.Check(in, map[string][]workload.File{"good": out["good"], "letters": {letters}})
		}
	}
	return &w
}

// leftOut holds the count of what was left out against the input: whatever restarts have undone is not in it.
func (x *run) leftOut(policy string) {
	x.t.Helper()
	want := int64(len(x.input["input"][0]) / poisonEvery)
	x.until(10*time.Second, "the JobManager tells the job", func(ctx context.Context) bool {
		j := x.look(ctx)
		if j == nil {
			return false
		}
		if len(j.Skipped) != 1 || j.Skipped[0].Count != want || j.Skipped[0].OnTrap != policy {
			x.t.Errorf("left out: %+v (expected %d)", j.Skipped, want)
		}
		return true
	})
}

// addLine adds a line to the input, which the workload does not know of.
func (x *run) addLine(line string) {
	x.t.Helper()
	f, err := os.OpenFile(x.path("job", "input-0.txt"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(line + "\n")
	}
	if err != nil {
		x.t.Fatal(err)
	}
	f.Close()
}

// failsOnce wants the job to fail with that, without being tried again and again, and to stay so when the JobManager is
// started anew.
func (x *run) failsOnce(what string, with *regexp.Regexp) {
	x.t.Helper()
	x.slow(false)
	j := x.terminal()
	if j.State != api.JobFailed || !with.MatchString(j.Failure.Message) {
		x.t.Fatalf("the job is %s: %v (expected FAILED: %s)", j.State, j.Failure, with)
	}
	x.effect("%s: FAILED by name", what)
	if j.Restarts > 0 {
		x.t.Errorf("%d restarts (expected none: it would fail again)", j.Restarts)
	}
	x.jm.kill()
	x.jm.start()
	if again := x.terminal(); again.State != api.JobFailed || again.Attempt != j.Attempt {
		x.t.Errorf("behind a start of the JobManager the job is %s in attempt %d (expected FAILED in attempt %d)", again.State, again.Attempt, j.Attempt)
	}
}
