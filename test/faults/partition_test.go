//go:build faults

package faults

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/graph"
)

// connect puts the processes on hosts of a network: the JobManager is at the test's, so that the test reaches it by loopback
// however the network is.
func (x *run) connect() {
	x.t.Helper()
	addrs := []netip.Addr{}
	hosts := 1 + or(x.taskmanagers, 2)
	if x.inS3 {
		hosts++
	}
	for i := range hosts {
		addrs = append(addrs, hostAddr(i))
	}
	var err error
	if x.net, err = newNetwork(x.seed, addrs...); err != nil {
		x.t.Fatal(err)
	}
}

func hostAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(1 + i)}) }

// addrOf is the address of process i: 0 is the JobManager, i is TaskManager i.
func (x *run) addrOf(i int) netip.Addr {
	if x.net != nil {
		return hostAddr(i)
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)})
}

// hostOf is the host of process i, nil for all that run beside the test.
func (x *run) hostOf(i int) *host {
	if x.net == nil {
		return nil
	}
	return x.net.hosts[hostAddr(i)]
}

// between are the directions between two groups of processes, both ways.
func (x *run) between(a, b []int) (all []direction) {
	for _, i := range a {
		for _, k := range b {
			all = append(all, direction{x.addrOf(i), x.addrOf(k)}, direction{x.addrOf(k), x.addrOf(i)})
		}
	}
	return all
}

// partition is links that are cut for a while.
type partition struct {
	cut  []direction
	lost int // packets that would have come over them before
}

// part cuts links.
func (x *run) part(cut []direction) *partition {
	p := &partition{cut: cut}
	p.lost = p.taken(x)
	for _, d := range cut {
		x.net.sever(d.from, d.to)
	}
	return p
}

func (p *partition) taken(x *run) (n int) {
	for _, d := range p.cut {
		n += x.net.counted(d.from, d.to).cut
	}
	return n
}

// heal mends them; a partition that nobody met is no fault.
func (p *partition) heal(x *run, what string) {
	for _, d := range p.cut {
		x.net.heal(d.from, d.to)
	}
	if n := p.taken(x) - p.lost; n > 0 {
		x.effect("%s: %d packets cut off", what, n)
	}
}

// resumption is how long a job may take to its next checkpoint when a partition is healed: a handshake that was begun just
// before the end fails after 5 s, and the next attempt waits for at most a second.
const resumption = 12 * time.Second

// storeResumption is the same where the store was cut off: a request that was sent just before the end is given up after 30 s,
// and the next try waits for at most 5 s, and so long for its connection.
const storeResumption = 40 * time.Second

// parted is a scenario in which a network is parted for a while.
type parted struct {
	name         string
	time         time.Duration
	cut          func(x *run) []direction
	isolated     int  // this TaskManager loses the JobManager; 0: none does
	goesOn       bool // output is committed meanwhile
	restarts     int  // at most
	taskmanagers int
	store        bool // checkpoints are in S3, which is cut off
	fullOnly     bool
}

func (p parted) scenario(row string) scenario {
	s := scenario{row: row, name: fmt.Sprintf("%s, %s", p.name, p.time), networked: true, taskmanagers: p.taskmanagers, parallelism: max(2, p.taskmanagers),
		records: 150_000, workload: workload.WideChain, pace: 100 * time.Millisecond, fullOnly: p.fullOnly,
		env: []string{"WASMILL_SLOTS_TIMEOUT=10m"}}
	if p.time > 2*time.Second { // the job is to run all the while
		s.pace, s.limit = time.Second, 2*time.Minute
		s.records = int(p.time/time.Second)*2_500 + 60_000
	}
	switch s.inS3 = p.store; {
	case p.store && p.time > 2*time.Second:
		s.records = int((p.time+storeResumption)/time.Second)*2_500 + 20_000
	case p.store:
		s.pace = 300 * time.Millisecond
	}
	if s.records > 200_000 {
		s.workload = workload.Ledger // of which large files may be read in parts
	}
	s.fault = p.fault
	return s
}

func (p parted) fault(x *run) {
	x.t.Helper()
	x.completes(2)
	attempt := x.attempt()
	begun := time.Now()
	cut := x.part(p.cut(x))
	x.pass(p.time / 2)
	if p.goesOn {
		x.completes(1)
	}
	x.pass(p.time - time.Since(begun))
	cut.heal(x, p.name)
	if p.isolated > 0 {
		x.fenced(x.tms[p.isolated-1], begun)
	}
	took := x.completes(2) // the first may have been on its way
	limit := resumption
	if p.store && p.time > 2*time.Second {
		limit = storeResumption
	}
	if took > limit {
		x.t.Errorf("a checkpoint was completed %s after the partition had healed (expected < %s)", took, limit)
	}
	restarts := int(x.attempt() - attempt)
	if restarts > p.restarts {
		x.t.Errorf("%d restarts (expected <= %d)", restarts, p.restarts)
	}
	x.note = fmt.Sprintf("%d restarts, a checkpoint %.1f s after", restarts, took.Seconds())
}

// attempt is the number of the job's attempt.
func (x *run) attempt() (a graph.Attempt) {
	x.t.Helper()
	x.until(10*time.Second, "the JobManager tells the attempt", func(ctx context.Context) bool {
		j := x.look(ctx)
		if j != nil {
			a = j.Attempt
		}
		return j != nil
	})
	return a
}

// lease is how long a TaskManager may go on that the JobManager does not answer: heartbeat.timeout, the time to the next
// heartbeat, and that of its try.
const lease = 5 * time.Second

// fenced sees in the log of a TaskManager that it gave up its tasks within the lease.
func (x *run) fenced(p *process, since time.Time) {
	x.t.Helper()
	for line := range strings.Lines(p.log()) {
		text, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || at.Before(since) || !strings.Contains(rest, "lost the JobManager; all tasks end") {
			continue
		}
		if took := at.Sub(since); took > lease {
			x.t.Errorf("%s ended its tasks %s after it had lost the JobManager (expected <= %s)", p.name, took, lease)
		}
		return
	}
	x.t.Errorf("%s did not end its tasks", p.name)
}

// partitions are rows 5 and 6.
func partitions() (all []scenario) {
	apart := func(x *run) []direction { return x.between([]int{1}, []int{2}) }
	alone := func(x *run) []direction { return x.between([]int{0}, []int{1, 2}) }
	first := func(x *run) []direction { return x.between([]int{0}, []int{1}) }
	isolated := func(x *run) []direction { return x.between([]int{1}, []int{0, 2}) }
	oneWay := func(from, to int) func(x *run) []direction {
		return func(x *run) []direction { return []direction{{x.addrOf(from), x.addrOf(to)}} }
	}
	symmetric := []parted{
		{name: "TaskManagers apart", time: time.Second, cut: apart},
		{name: "TaskManager and JobManager apart", time: time.Second, cut: first},
		{name: "TaskManagers apart", time: 30 * time.Second, cut: apart, goesOn: true, restarts: 2},
		{name: "TaskManager and JobManager apart", time: 30 * time.Second, cut: first, isolated: 1, goesOn: true, restarts: 2},
		{name: "JobManager alone", time: 30 * time.Second, cut: alone, isolated: 1, restarts: 2, fullOnly: true},
		{name: "TaskManager alone", time: 30 * time.Second, cut: isolated, isolated: 1, goesOn: true, restarts: 2, fullOnly: true},
		{name: "TaskManagers apart", time: 5 * time.Minute, cut: apart, goesOn: true, restarts: 3, fullOnly: true},
		{name: "TaskManager and JobManager apart", time: 5 * time.Minute, cut: first, isolated: 1, goesOn: true, restarts: 2, fullOnly: true},
		{name: "JobManager alone", time: 5 * time.Minute, cut: alone, isolated: 1, restarts: 2, fullOnly: true},
	}
	jobManagerStore := func(x *run) []direction { return x.between([]int{0}, []int{x.storeHost()}) }
	taskManagerStore := func(x *run) []direction { return x.between([]int{1}, []int{x.storeHost()}) }
	for _, d := range []time.Duration{time.Second, 30 * time.Second, 5 * time.Minute} {
		restarts := int(d / (5 * time.Minute)) // when checkpoint.tolerated-failures have failed; that one waits for the store
		symmetric = append(symmetric,
			parted{name: "JobManager and store apart", time: d, cut: jobManagerStore, store: true, restarts: restarts, fullOnly: d > time.Second},
			parted{name: "TaskManager and store apart", time: d, cut: taskManagerStore, store: true, restarts: restarts, fullOnly: d > time.Second})
	}
	partial := []parted{
		{name: "TaskManager to JobManager lost", time: 8 * time.Second, cut: oneWay(1, 0), isolated: 1, goesOn: true, restarts: 2},
		{name: "JobManager to TaskManager lost", time: 8 * time.Second, cut: oneWay(0, 1), isolated: 1, goesOn: true, restarts: 2},
		{name: "TaskManager to TaskManager lost", time: 20 * time.Second, cut: oneWay(1, 2), goesOn: true, restarts: 2, fullOnly: true},
		{name: "two of three TaskManagers apart", time: 20 * time.Second, cut: apart, goesOn: true, restarts: 2, taskmanagers: 3},
	}
	for _, p := range symmetric {
		all = append(all, p.scenario("5"))
	}
	for _, p := range partial {
		all = append(all, p.scenario("6"))
	}
	return all
}
