package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/api"
)

// runningCount is a running count on a cluster of real processes: an endless source, keys all as likely, checkpoints.
type runningCount struct {
	dir, url, output string
	client           *api.Client
	run              *exec.Cmd
	job              *api.Job
	keys, size       uint64
}

// startCount starts a cluster and the job on it. An interval of 0 is no checkpoints.
func startCount(dir string, taskmanagers, parallelism int, keys, size uint64, interval time.Duration) (*runningCount, error) {
	c, err := startJob(dir, taskmanagers, parallelism, interval, "test/guests/running.wasm", "--param", fmt.Sprintf("keys=%d", keys), "--param", fmt.Sprintf("size=%d", size))
	if err != nil {
		return nil, err
	}
	c.keys, c.size = keys, size
	return c, nil
}

// startJob starts a cluster and a job of a module on it, which writes to the directory output.
func startJob(dir string, taskmanagers, parallelism int, interval time.Duration, module string, args ...string) (*runningCount, error) {
	c := &runningCount{dir: filepath.Join(dir, "cluster"), output: filepath.Join(dir, "out")}
	os.Setenv("WASMILL_CHECKPOINT_INTERVAL", interval.String())
	defer os.Unsetenv("WASMILL_CHECKPOINT_INTERVAL")
	os.Setenv("WASMILL_STATE_BUDGET", "4GiB")
	defer os.Unsetenv("WASMILL_STATE_BUDGET")
	var out bytes.Buffer
	if _, _, _, err := child(&out, "bin/wasmill", "cluster", "start", "--dir", c.dir, "--taskmanagers", fmt.Sprint(taskmanagers), "--slots", fmt.Sprint(parallelism)); err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	c.url = lines[len(lines)-1]
	var err error
	if c.client, err = api.NewClient(c.url, nil); err != nil {
		return nil, c.fail(err)
	}
	c.run = exec.Command("bin/wasmill", append([]string{"run", module, "--jobmanager", c.url, "--parallelism", fmt.Sprint(parallelism), "--param", "output=" + c.output}, args...)...)
	if err := c.run.Start(); err != nil {
		return nil, c.fail(err)
	}
	return c, c.until(20*time.Second, "the job runs", func() bool { return c.job != nil && c.job.State == api.JobRunning })
}

// look reads the job as it is now.
func (c *runningCount) look() error {
	jobs, err := c.client.ListJobs(context.Background())
	if err != nil {
		return err
	}
	if len(jobs) > 0 {
		c.job = &jobs[0]
		if c.job.State.Terminal() && c.job.State != api.JobFinished {
			return fmt.Errorf("job is %s: %v", c.job.State, c.job.Failure)
		}
	}
	return nil
}

func (c *runningCount) until(limit time.Duration, what string, done func() bool) error {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if err := c.look(); err != nil {
			return c.fail(err)
		}
		if done() {
			return nil
		}
		if time.Now().After(end) {
			return c.fail(fmt.Errorf("%s: not within %s", what, limit))
		}
	}
}

// fail ends what runs.
func (c *runningCount) fail(err error) error {
	c.close()
	return err
}

func (c *runningCount) close() {
	_, _, _, _ = child(nil, "bin/wasmill", "cluster", "stop", "--dir", c.dir)
	if c.run != nil && c.run.Process != nil {
		_ = c.run.Process.Kill()
		_ = c.run.Wait()
	}
}

// stop ends the job with a savepoint, and holds its output against what the sources had read by then: of each sampled key
// the counts only grow, and the last one is right.
func (c *runningCount) stop() error {
	defer c.close()
	place := filepath.Join(filepath.Dir(c.dir), "savepoint")
	if _, _, _, err := child(nil, "bin/wasmill", "stop", string(c.job.ID), "--to", place, "--jobmanager", c.url); err != nil {
		return err
	}
	want, err := c.expected(place)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(c.output, "part-*"))
	if err != nil {
		return err
	}
	number := func(path string) int {
		parts := strings.Split(filepath.Base(path), "-")
		n, _ := strconv.Atoi(parts[2])
		return n
	}
	sort.SliceStable(files, func(i, k int) bool { return number(files[i]) < number(files[k]) })
	last := map[string]int{}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			key, value, _ := strings.Cut(s.Text(), "\t")
			n, err := strconv.Atoi(value)
			if err != nil || n <= last[key] {
				f.Close()
				return fmt.Errorf("%s: row %q behind count %d", path, s.Text(), last[key])
			}
			last[key] = n
		}
		f.Close()
	}
	if len(last) != len(want) {
		return fmt.Errorf("%d keys are counted (expected %d)", len(last), len(want))
	}
	for key, n := range want {
		if last[key] != n {
			return fmt.Errorf("key %s: %d (expected %d)", key, last[key], n)
		}
	}
	return nil
}

// expected counts the sampled keys of the records that a savepoint's sources have read.
func (c *runningCount) expected(savepoint string) (map[string]int, error) {
	read, err := readSpans(savepoint)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, s := range read {
		for n := s.first; n < s.next; n += s.step {
			if k := mix(n) % c.keys; k%1000 == 0 {
				counts[fmt.Sprintf("%0*d", c.size, k)]++
			}
		}
	}
	return counts, nil
}

// span is the numbers first, first+step ... below next, which a generator has made.
type span struct{ first, step, next uint64 }

// readSpans are those that a savepoint's only source has made.
func readSpans(savepoint string) (all []span, err error) {
	data, err := os.ReadFile(filepath.Join(savepoint, "MANIFEST"))
	if err != nil {
		return nil, err
	}
	var m struct {
		Sources []struct {
			Splits []struct {
				Data struct{ First, Step uint64 }
			}
			Open []struct {
				Index    int
				Position struct{ Next uint64 }
			}
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("read the savepoint's manifest: %w", err)
	}
	for _, o := range m.Sources[0].Open {
		split := m.Sources[0].Splits[o.Index].Data
		all = append(all, span{split.First, split.Step, o.Position.Next})
	}
	return all, nil
}

// mix is work_mix of test/guests/work.h.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// kill sends SIGKILL to a process of the cluster, and returns the command that starts it again as it was.
func (c *runningCount) kill(name string) (*exec.Cmd, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, name+".pid"))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, err
	}
	again := exec.Command(args[0], args[1:]...)
	again.Env = strings.Split(strings.TrimSuffix(string(environ), "\x00"), "\x00")
	return again, syscall.Kill(pid, syscall.SIGKILL)
}
