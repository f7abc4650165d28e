// Package harness runs the wasmill binary as a user does, for tests: commands, clusters of real processes on loopback, and
// signals to them. It looks at nothing but what a user sees: output, exit status, REST, files, /proc.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// Wasmill is the path of a built binary.
type Wasmill string

// Root is the repository, found from the test's own directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "guest-sdk")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no repository above the test's directory")
	return ""
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
	Wall, CPU      time.Duration
}

// Run runs a command to its end.
func (w Wasmill) Run(t testing.TB, args ...string) Result {
	t.Helper()
	p := w.Start(t, args...)
	return p.Wait()
}

// Process is a command that runs.
type Process struct {
	t           testing.TB
	cmd         *exec.Cmd
	out, err    bytes.Buffer
	begun       time.Time
	description string
}

// Start starts a command; the test's end kills it if it still runs.
func (w Wasmill) Start(t testing.TB, args ...string) *Process {
	t.Helper()
	return w.StartIn(t, "", args...)
}

// StartIn starts a command in a working directory.
func (w Wasmill) StartIn(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(string(w), args...), begun: time.Now(), description: strings.Join(args, " ")}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // one second at every exit otherwise
	p.cmd.WaitDelay = 10 * time.Second                           // a cluster's processes must not hold our pipes open
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("wasmill %s: %v", p.description, err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	return p
}

// Signal sends a signal to the command.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("wasmill %s: %v", p.description, err)
	}
}

// Wait waits for the command's end.
func (p *Process) Wait() Result {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("wasmill %s: %v", p.description, err)
	}
	s := p.cmd.ProcessState
	return Result{Stdout: p.out.String(), Stderr: p.err.String(), Code: s.ExitCode(), Wall: time.Since(p.begun), CPU: s.UserTime() + s.SystemTime()}
}

// OK fails the test unless the command ended well.
func (r Result) OK(t testing.TB) Result {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// Cluster is a loopback cluster of real processes.
type Cluster struct {
	*api.Client
	Dir, URL string
	wasmill  Wasmill
	t        testing.TB
}

// Cluster starts a cluster in a directory of its own.
func (w Wasmill) Cluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return w.ClusterIn(t, t.TempDir(), args...)
}

// ClusterIn starts a cluster with `cluster start`; the test's end stops it and, if the test failed, shows its logs.
func (w Wasmill) ClusterIn(t testing.TB, dir string, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{Dir: dir, wasmill: w, t: t}
	t.Cleanup(func() {
		w.Run(t, "cluster", "stop", "--dir", c.Dir)
		if t.Failed() {
			c.showLogs()
		}
	})
	c.URL = lastLine(w.Run(t, append([]string{"cluster", "start", "--dir", c.Dir}, args...)...).OK(t).Stdout)
	client, err := api.NewClient(c.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Client = client
	return c
}

func (c *Cluster) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(c.Dir, "*.log"))
	for _, l := range logs {
		data, _ := os.ReadFile(l)
		if len(data) > 8000 {
			data = data[len(data)-8000:]
		}
		c.t.Logf("%s:\n%s", filepath.Base(l), data)
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// Start starts `run` of a module on the cluster.
func (c *Cluster) Start(module string, args ...string) *Process {
	c.t.Helper()
	return c.wasmill.Start(c.t, append([]string{"run", module, "--jobmanager", c.URL}, args...)...)
}

// Run runs a module on the cluster to its end.
func (c *Cluster) Run(module string, args ...string) Result {
	c.t.Helper()
	return c.Start(module, args...).Wait()
}

// PID is the process id of "jobmanager" or "taskmanager-1".
func (c *Cluster) PID(name string) int {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Dir, name+".pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		c.t.Fatalf("%s.pid: %v", name, err)
	}
	return pid
}

// Kill sends SIGKILL to a process of the cluster, and returns the command that starts it again as it was.
func (c *Cluster) Kill(name string) (again *exec.Cmd) {
	c.t.Helper()
	pid := c.PID(name)
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatalf("kill %s: %v", name, err)
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	return exec.Command(args[0], args[1:]...)
}

// Restart kills a process and starts it again with the same command line.
func (c *Cluster) Restart(name string) {
	c.t.Helper()
	c.Lose(name)()
}

// Lose kills a process, and returns what starts it again with the same command line.
func (c *Cluster) Lose(name string) (again func()) {
	c.t.Helper()
	cmd := c.Kill(name)
	return func() { c.startAgain(name, cmd) }
}

func (c *Cluster) startAgain(name string, cmd *exec.Cmd) {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.Dir, name+".log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("start %s again: %v", name, err)
	}
	c.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := os.WriteFile(filepath.Join(c.Dir, name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o666); err != nil {
		c.t.Fatal(err)
	}
}

// RSS is the resident memory of a process in bytes.
func RSS(t testing.TB, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// Job returns the cluster's only job that is not over, or the newest.
func (c *Cluster) Job() *api.Job {
	c.t.Helper()
	jobs, err := c.ListJobs(context.Background())
	if err != nil || len(jobs) == 0 {
		return nil
	}
	newest := &jobs[0]
	for i := range jobs {
		if jobs[i].Created.After(newest.Created) {
			newest = &jobs[i]
		}
	}
	return newest
}

// Kill ends the command by SIGKILL.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
}
