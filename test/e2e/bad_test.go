package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/test/harness"
)

// wrongs are what is said of the programs of test/guests/bad.c, in Go and Rust as well where all say the same; empty: of that language it
// has no such program.
var wrongs = map[string]struct{ c, golang, rust string }{
	"uid":        same(`operator "count" keeps state and has no uid; give it one`),
	"slide":      same(`operator "counts": operators[N].window.slide: 1m0s (expected 0s < slide <= 1s, its size)`),
	"trigger":    same(`operator "counts": operators[N].window.trigger: none of a global window, which has no end (expected one`),
	"endless":    same(`count "counts" puts out nothing before its input ends (its window has all records of a key, and fires at the end of time), and source "generator" (generator) does not end`),
	"bounds":     {`operator "join": ` + crossed, `operator "near": ` + crossed, `operator "near": ` + crossed},
	"codec":      same(`sum behind "whose": values of codec utf8 (expected i64 or f64)`),
	"alltime":    {`operator "join": ` + lateOfAll, `operator "all": ` + lateOfAll, `operator "all": ` + lateOfAll},
	"window":     {`window behind "whose": size_ms -5, gap_ms 0, count 0 (expected one of them > 0)`, counts + `size: -5ms (expected > 0s)`, counts + `size: 0s (expected > 0s)`},
	"gap":        {`window behind "whose": size_ms 0, gap_ms 0, count 0 (expected one of them > 0)`, counts + `gap: 0s (expected > 0s)`, counts + `gap: 0s (expected > 0s)`},
	"records":    {`window behind "whose": size_ms 0, gap_ms 0, count 0 (expected one of them > 0)`, `window of records behind "whose": of 0 records (expected >= 1)`, `a window of records of key "whose": of 0 records (expected >= 1)`},
	"lateness":   {counts + `lateness: -1ms (expected >= 0s)`, counts + `lateness: -1s (expected >= 0s)`, counts + `lateness: 1s of windows of processing time (expected none`},
	"fraction":   {"", `operator "counts": 1.5ms in Tumbling (expected whole milliseconds)`, `operator "counts": 1.5ms in tumbling (expected whole milliseconds)`},
	"ttl":        {"", `function "forgets": 500µs in TTL of state "last" (expected whole milliseconds)`, `function "forgets": 500µs in ttl of state "last" (expected whole milliseconds)`},
	"still":      {counts + `slide: 0s of a sliding window (expected one > 0s`, "", ""},
	"far":        {counts + `offset: -1s (expected -1s < offset < 1s, its size)`, "", ""},
	"unbounded":  {`interval join of "whose" and "whose": no bounds (expected lower_ms and upper_ms, or same_time)`, `join "join": no bounds (expected Between`, ""},
	"unwindowed": {`join of "whose" and "whose": no window (expected one`, `join "join": no window (expected Window, or AllTime`, ""},
	"keys":       {`join of "whose" and "cut": keys of codecs utf8 and i64 (expected one)`, "", ""},
	"union":      {`operator "union": operators[N].inputs[1]: "times" sends utf8, and "count", the first input, row(key: utf8, value: i64) (expected one codec`, "", ""},
	"json":       {`operator "json": operators[N].key: codec json: no key, because one value has many spellings (expected bytes`, "", ""},
	"rows":       {`operator "aggregates": operators[N].output: row(key: i64, n: i64) (expected row(key: utf8, n: i64)`, rows, rows},
	"state":      {`process "state": state "last" of a key on a stream without key (expected a list of the operator`, unkeyed, unkeyed},
	"timers":     {`process "timers": timers on a stream without key (expected wasmill_key_by before it`, "", ""},

	"timer":  same(`operator "alarm": failed: a timer of a function that has no callback for timers: `),
	"length": {`operator "cut": its function gave record 1 of a batch ("ab") the key "abc", which has 3 bytes (expected 8 of i64)`, "", ""},
	"key":    {fickle + `"0", and when it was asked again "`, fickle + `"1", and when it was asked again "`, fickle + `1, and when it was asked again `},
}

const (
	counts    = `operator "counts": operators[N].window.`
	crossed   = `operators[N].interval: an interval from `
	lateOfAll = `operators[N].window.lateness: 1s of a join of all that there is (expected none`
	rows      = `operator "rows": operators[N].output: row(word: utf8, other: utf8) (expected row(key: utf8, count: i64)`
	unkeyed   = `function "states": functions[1].states[0].scope: keyed, and "states" takes a stream without key (expected operator, or a key operator before it)`
	fickle    = `operator "fickle": its function gave record 1 of a batch ("ab") the key `
)

func same(text string) struct{ c, golang, rust string } {
	return struct{ c, golang, rust string }{text, text, text}
}

// operatorIndex is the place of an operator among all, which a program may change.
var operatorIndex = regexp.MustCompile(`operators\[\d+\]`)

// atFirst are those that are noticed at the first records.
var atFirst = []string{"key", "length", "timer"}

// A program that is wrong is refused before it runs, with what is wrong, where, and what is expected; what only its records show is noticed
// at the first of them. In C, in Go and in Rust.
func TestBadProgramsAreToldOf(t *testing.T) {
	input := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(input, []byte(strings.Repeat("ab\n", 5)+"abc\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1", "--slots", "1")
	of := map[string]func(what string) (want string){
		"c":    func(what string) string { return wrongs[what].c },
		"go":   func(what string) string { return wrongs[what].golang },
		"rust": func(what string) string { return wrongs[what].rust },
	}
	for language, want := range of {
		t.Run(language, func(t *testing.T) {
			module, args := badGuest(t, language)
			args = append(args, "--param", "input="+input)
			for _, what := range slices.Sorted(maps.Keys(wrongs)) {
				if want(what) == "" {
					continue
				}
				r := cluster.Run(module, append(args, "--param", "what="+what)...)
				said := operatorIndex.ReplaceAllString(r.Stderr, "operators[N]")
				if r.Code == 0 || !strings.Contains(said, want(what)) {
					t.Errorf("%s: %+v\nexpected %s", what, r, want(what))
				}
				if ran := strings.Contains(r.Stdout+r.Stderr, "RUNNING"); ran && !slices.Contains(atFirst, what) {
					t.Errorf("%s: it ran", what)
				}
			}
			for what, want := range map[string]string{"global": "ab\t2\nab\t2\n", "offset": "-28800000\t57600000\tab\t5\n-28800000\t57600000\tabc\t1\n"} {
				if what == "global" && language != "c" { // a window's times are among what these have of it
					want = "0\t0\tab\t2\n0\t0\tab\t2\n"
				}
				output := filepath.Join(t.TempDir(), what)
				cluster.Run(module, append(args, "--param", "what="+what, "--param", "output="+output)...).OK(t)
				harness.Same(t, harness.Output(t, output), sorted(want))
			}
		})
	}
}

// badGuest is the module of the programs in a language, and what they are run with.
func badGuest(t *testing.T, language string) (module string, args []string) {
	switch language {
	case "go":
		return goGuest(t, "testdata/bad"), nil
	case "rust":
		return rustGuest(t, "work"), []string{"--param", "work=bad"}
	}
	return filepath.Join(harness.Root(t), "test/guests/bad.wasm"), nil
}

// goGuest compiles a guest in a directory.
func goGuest(t *testing.T, dir string) string {
	t.Helper()
	module := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-w", "-o", module, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return module
}
