//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// short is a lease that tests can wait for.
var short = []string{"WASMILL_HEARTBEAT_INTERVAL=300ms", "WASMILL_HEARTBEAT_TIMEOUT=1500ms"}

// zombies are row 10: a process stands still until the others have done without it, and then goes on with all that it had in
// its hands. It stops where it has most to say, or anywhere.
func zombies() (all []scenario) {
	add := func(s scenario) {
		s.row, s.env, s.records, s.pace = "10", short, 180_000, 200*time.Millisecond
		if *full { // it stands for longer
			s.pace = 500 * time.Millisecond
		}
		if s.workload == nil {
			s.workload = workload.WideChain
		}
		all = append(all, s)
	}
	add(scenario{name: "TaskManager stopped", workload: workload.Ledger, fault: func(x *run) {
		x.completes(1)
		x.pass(x.someTime(500 * time.Millisecond))
		x.killed = true
		zombie(x, x.tms[x.random.IntN(2)])
	}})
	add(scenario{name: "JobManager stopped", fault: stoppedJobManager})
	for _, p := range []failpoint.Point{
		failpoint.AsyncUpload, failpoint.SinkCommitting, failpoint.CommitNotified, failpoint.SyncSnapshot, failpoint.BarrierFlight, failpoint.Running, failpoint.Restoring,
	} {
		add(scenario{name: "TaskManager stopped, " + string(p),
			fullOnly: p != failpoint.AsyncUpload && p != failpoint.SinkCommitting,
			prepare: func(x *run) {
				n := 3 + x.random.IntN(3)
				if p == failpoint.Restoring {
					n = 1
				}
				x.tms[0].fault = fmt.Sprintf("%s=stop@%d", p, n)
			},
			fault: func(x *run) {
				if p == failpoint.Restoring {
					x.completes(1)
					x.tms[1].kill()
					x.revive(x.tms[1])
				}
				x.until(30*time.Second, "the TaskManager stops", func(context.Context) bool { return x.tms[0].stopped() })
				zombie(x, x.tms[0])
			}})
	}
	return all
}

// zombie stops a TaskManager until its job has gone on without it, and lets it go on.
func zombie(x *run, p *process) {
	x.t.Helper()
	before := x.refused()
	p.signal(syscall.SIGSTOP) // a failpoint may have done so
	begun := time.Now()
	x.until(30*time.Second, "the TaskManager is lost", func(ctx context.Context) bool {
		o, err := x.client.Overview(ctx)
		return err == nil && o.TaskManagers == len(x.tms)-1
	})
	x.completes(2)
	if *full {
		x.pass(x.someTime(20 * time.Second))
	}
	x.effect("SIGSTOP of %s", p.name)
	stood := time.Since(begun)
	stored := x.stored()
	p.signal(syscall.SIGCONT)
	x.until(30*time.Second, "the TaskManager is back", func(ctx context.Context) bool {
		o, err := x.client.Overview(ctx)
		return err == nil && o.TaskManagers == len(x.tms)
	})
	x.completes(1)
	x.untouched(stored)
	after := x.refused()
	for name, n := range before {
		after[name] -= n
	}
	total := 0
	var each []string
	for name, n := range after {
		if total += n; n > 0 {
			each = append(each, fmt.Sprintf("%d %s", n, name))
		}
	}
	slices.Sort(each)
	x.note = fmt.Sprintf("stood for %.1f s; refused by number: %s", stood.Seconds(), strings.Join(each, ", "))
	if total == 0 {
		x.t.Error("nothing of the TaskManager that had stood still was refused")
	}
}

// stored is every committed file of output and every object of the job's checkpoints.
func (x *run) stored() map[string]os.FileInfo {
	x.t.Helper()
	all := map[string]os.FileInfo{}
	for _, root := range []string{x.path("job", "output"), x.path("checkpoints", string(x.job))} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && (e.IsDir() || strings.HasPrefix(e.Name(), ".")) {
				return nil // garbage goes meanwhile; what is hidden is not stored yet
			}
			if err == nil {
				all[path], err = e.Info()
			}
			if errors.Is(err, fs.ErrNotExist) {
				delete(all, path)
				err = nil
			}
			return err
		})
		if err != nil {
			x.t.Fatal(err)
		}
	}
	return all
}

// untouched wants that nobody has written to what was stored, or put another file in its place. Checkpoints may be garbage now.
func (x *run) untouched(stored map[string]os.FileInfo) {
	x.t.Helper()
	now := x.stored()
	for path, was := range stored {
		is := now[path]
		switch {
		case is == nil && strings.HasPrefix(path, x.path("job")):
			x.t.Errorf("%s, which was committed, is gone", path)
		case is != nil && (!os.SameFile(was, is) || was.Size() != is.Size() || !was.ModTime().Equal(is.ModTime())):
			x.t.Errorf("%s was stored, and is another file now", path)
		}
	}
}

// stoppedJobManager stops the JobManager until every TaskManager has given it up.
func stoppedJobManager(x *run) {
	x.t.Helper()
	x.completes(2)
	x.jm.signal(syscall.SIGSTOP)
	begun := time.Now()
	for _, tm := range x.tms {
		x.until(30*time.Second, tm.name+" gives the JobManager up", func(context.Context) bool {
			return strings.Contains(tm.log(), "lost the JobManager; all tasks end")
		})
	}
	stood := time.Since(begun)
	x.effect("SIGSTOP of %s", x.jm.name)
	x.jm.signal(syscall.SIGCONT)
	took := x.completes(2)
	x.note = fmt.Sprintf("stood for %.1f s; two checkpoints %.1f s after", stood.Seconds(), took.Seconds())
}

var (
	staleMetric    = regexp.MustCompile(`(?m)^wasmill_(?:control|channels)_stale_total(?:\{request="(\w+)"\})? (\d+)$`)
	metricsAddress = regexp.MustCompile(`metrics=(http://\S+)`)
)

// refused is what the processes that run have refused because its epoch, attempt or registration was over, by kind.
func (x *run) refused() map[string]int {
	x.t.Helper()
	sum := map[string]int{}
	for _, p := range x.processes() {
		if p.stopped() || !p.runs() {
			continue
		}
		for _, m := range staleMetric.FindAllStringSubmatch(x.metrics(p), -1) {
			n, err := strconv.Atoi(m[2])
			if err != nil {
				x.t.Fatal(err)
			}
			if m[1] == "" {
				m[1] = "channel"
			}
			sum[m[1]] += n
		}
	}
	return sum
}

// counter is a metric of a process, without labels.
func (x *run) counter(p *process, name string) (n float64) {
	x.t.Helper()
	for line := range strings.Lines(x.metrics(p)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			var err error
			if n, err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
				x.t.Fatal(err)
			}
		}
	}
	return n
}

// metrics is what a process tells of itself, nothing if it does not run.
func (x *run) metrics(p *process) (text string) {
	x.t.Helper()
	x.until(10*time.Second, p.name+" tells its metrics", func(ctx context.Context) bool {
		var err error
		text, err = p.metrics(ctx)
		return err == nil || !p.runs() || p.stopped()
	})
	return text
}

// metrics asks the process, on its own host.
func (p *process) metrics(ctx context.Context) (string, error) {
	url := "http://" + jobManagerAddress + "/metrics"
	if p != p.x.jm {
		all := metricsAddress.FindAllStringSubmatch(p.log(), -1)
		if len(all) == 0 {
			return "", errors.New("it has not begun")
		}
		url = all[len(all)-1][1]
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: p.dial}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// dial connects to an address as its host sees it.
func (p *process) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	dial := func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	}
	if p.host == nil {
		err = dial()
	} else {
		err = p.host.do(dial)
	}
	return conn, err
}
