//go:build faults

package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
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
	p.signal(syscall.SIGCONT)
	x.until(30*time.Second, "the TaskManager is back", func(ctx context.Context) bool {
		o, err := x.client.Overview(ctx)
		return err == nil && o.TaskManagers == len(x.tms)
	})
	x.completes(1)
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
		url := "http://" + jobManagerAddress + "/metrics"
		if p != x.jm {
			all := metricsAddress.FindAllStringSubmatch(p.log(), -1)
			url = all[len(all)-1][1]
		}
		if p.stopped() {
			continue
		}
		for _, m := range staleMetric.FindAllStringSubmatch(x.get(url), -1) {
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

// get is what a URL answers.
func (x *run) get(url string) string {
	x.t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		x.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(text)
}
