package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/test/harness"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wasmill": main})
}

// TestCommandLine runs the commands of testdata/*.txtar as a user types them.
func TestCommandLine(t *testing.T) {
	// Under nohup the commands would inherit that SIGHUP is ignored; a signal that is handled here is at its default there.
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(closed) }) // after the scripts, which run in parallel
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("REPO", root)
			e.Setenv("XDG_CACHE_HOME", cache)       // modules are compiled once for all tests
			e.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector that waits a second at each exit finds no more
			e.Setenv("GUESTS", filepath.Join(root, "test/guests"))
			e.Setenv("MOBY", filepath.Join(root, "examples/data/moby-dick.txt"))
			e.Defer(func() { stopClusters(t, e.WorkDir) })
			return nil
		},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "until": until, "capture": capture, "occupy": occupy, "binary": binary, "fetch": fetch,
		},
	})
}

// stopClusters ends what a script that failed has left running.
func stopClusters(t *testing.T, dir string) {
	pids, err := filepath.Glob(filepath.Join(dir, "*", "*.pid"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range pids {
		p := process{filepath.Dir(path), strings.TrimSuffix(filepath.Base(path), ".pid")}
		if _, err := stop(context.Background(), []process{p}); err != nil {
			t.Error(err)
		}
	}
}

// until repeats a command until its output matches: until REGEXP COMMAND ARGS...
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND ARGS...")
	}
	want := regexp.MustCompile(args[0])
	const limit = 20 * time.Second
	begun := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if took := time.Since(begun); took > limit && took > harness.Stretched(limit) {
			ts.Fatalf("%s is not in what %s prints", args[0], strings.Join(args[1:], " "))
		}
		<-tick.C
	}
}

// capture sets a variable to what a group matches in the output of the last command: capture NAME stdout REGEXP
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME stdout|stderr REGEXP")
	}
	found := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) != 2 {
		ts.Fatalf("%s does not match %s with one group", args[1], args[2])
	}
	ts.Setenv(args[0], found[1])
}

// occupy takes a free port until the script ends: occupy NAME
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// binary writes a file of the bytes that a Go string says: binary FILE STRING
func binary(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: binary FILE STRING")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// status runs a command and wants the exit status that comes first: status 2 wasmill run. Its output can be matched by
// stdout and stderr.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	a := &app{out: &answerWriter{Writer: io.Discard}, err: io.Discard}
	var each func(*cobra.Command)
	each = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no sentence or no example: --help shows the example first", c.CommandPath())
		}
		if c.RunE == nil || c.Args == nil && !c.HasParent() {
			t.Errorf("%s does not run, or takes any arguments", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(a.root())
}

// fetch prints what an URL answers: fetch URL
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}
