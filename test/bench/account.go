package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one of the cluster.
type process struct {
	name string
	pid  int
}

// processes are those that live whose names begin so.
func (c *runningCount) processes(prefix string) (all []process, err error) {
	files, err := filepath.Glob(filepath.Join(c.dir, prefix+"*.pid"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		fields, err := statOf(pid)
		if errors.Is(err, fs.ErrNotExist) || err == nil && fields[0] == "Z" {
			continue // it was killed
		} else if err != nil {
			return nil, err
		}
		all = append(all, process{strings.TrimSuffix(filepath.Base(path), ".pid"), pid})
	}
	return all, nil
}

// statOf is what /proc says of a process, from its state on.
func statOf(pid int) ([]string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])), nil
}

// tick is the unit of processors' time in /proc.
const tick = 10 * time.Millisecond

// cpu is what the processes whose names begin so have used.
func (c *runningCount) cpu(prefix string) (sum time.Duration, err error) {
	all, err := c.processes(prefix)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		fields, err := statOf(p.pid)
		if err != nil {
			return 0, err
		}
		n, err := ticks(fields[11:13]) // utime, stime
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func ticks(fields []string) (sum time.Duration, err error) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read ticks of /proc: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// machineTime is what the machine's processors have done so far.
type machineTime struct{ all, busy, ours time.Duration }

func (c *runningCount) machineTime() (t machineTime, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, err
	}
	fields := strings.Fields(string(data[:bytes.IndexByte(data, '\n')]))[1:9] // user nice system idle iowait irq softirq steal
	if t.all, err = ticks(fields); err != nil {
		return t, err
	}
	idle, err := ticks(fields[3:5])
	if err != nil {
		return t, err
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return t, err
	}
	t.busy = t.all - idle
	t.ours, err = c.cpu("")
	t.ours += time.Duration(own.Utime.Nano() + own.Stime.Nano())
	return t, err
}

// othersSince is the part of the machine that other processes than the cluster and the benchmark have had.
func (t machineTime) othersSince(before machineTime) float64 {
	return max(0, ((t.busy-before.busy)-(t.ours-before.ours)).Seconds()/(t.all-before.all).Seconds())
}

// counting is the number of the chain that counts, in the jobs that are measured.
const counting = 1

var metricsAt = regexp.MustCompile(`http://[0-9.]+:[0-9]+/metrics`)

// metricsOf is where a TaskManager says what its tasks have done: the newest address in its log.
func (c *runningCount) metricsOf(name string) (string, error) {
	log, err := os.ReadFile(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return "", err
	}
	found := metricsAt.FindAll(log, -1)
	if len(found) == 0 {
		return "", fmt.Errorf("the log of %s names no /metrics", name)
	}
	return string(found[len(found)-1]), nil
}

// counter adds up what the counting tasks have of a counter, those of one attempt. It is what they count themselves: the
// JobManager is told once a second.
func (c *runningCount) counter(name string, attempt int) (sum int64, err error) {
	all, err := c.processes("taskmanager-")
	if err != nil {
		return 0, err
	}
	prefix, labels := "wasmill_task_"+name+"_total{", fmt.Sprintf(`attempt="%d",chain="%d",`, attempt, counting)
	for _, p := range all {
		at, err := c.metricsOf(p.name)
		if err != nil {
			return 0, err
		}
		r, err := http.Get(at)
		if err != nil {
			return 0, err
		}
		for s := bufio.NewScanner(r.Body); s.Scan(); {
			series, value, _ := strings.Cut(s.Text(), "} ")
			if !strings.HasPrefix(series, prefix) || !strings.Contains(series, labels) {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				r.Body.Close()
				return 0, fmt.Errorf("%s: %s: %w", at, series, err)
			}
			sum += int64(n)
		}
		r.Body.Close()
	}
	return sum, nil
}

// counted is how many records the current attempt has counted.
func (c *runningCount) counted() (int64, error) { return c.counter("records_in", int(c.job.Attempt)) }

// span says how many records a second, and a second of the TaskManagers' processors, are counted in a span of time; at the
// beginning of each second of it, it calls each, if there is one.
func (c *runningCount) span(d time.Duration, each func() error) (perSecond, perCPU float64, err error) {
	records, err := c.counted()
	if err != nil {
		return 0, 0, err
	}
	cpu, err := c.cpu("taskmanager-")
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	for at := time.Duration(0); at < d; at += time.Second {
		if each != nil {
			if err := each(); err != nil {
				return 0, 0, err
			}
		}
		time.Sleep(time.Until(begun.Add(min(at+time.Second, d)))) // what is measured is a span of time
	}
	after, err := c.counted()
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(begun)
	cpuAfter, err := c.cpu("taskmanager-")
	if err != nil {
		return 0, 0, err
	}
	n := float64(after - records)
	return n / took.Seconds(), n / (cpuAfter - cpu).Seconds(), nil
}

// written is how many bytes the TaskManagers have written to files. What they send each other is not among it.
func (c *runningCount) written() (sum int64, err error) {
	all, err := c.processes("taskmanager-")
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.pid))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(data)) {
			if v, ok := strings.CutPrefix(line, "wchar:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("/proc/%d/io: %w", p.pid, err)
				}
				sum += n
			}
		}
	}
	return sum, nil
}
