//go:build faults

package faults

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// Row 13. The wall clock of a process is what its time.Now says: bin/wasmill-clock adds to it what a file says, process by
// process, and leaves the monotonic clock alone, as the kernel does when a clock is set. The machine's own clock is not
// touched: there is one for all, in no namespace. In virtual time a clock cannot jump: synctest has one clock for both.

// clock is the file that says how wrong the process's clock is.
func (p *process) clock() string { return p.x.path("clocks", p.name) }

// set sets the wall clock of the process, and has it drift.
func (p *process) set(wrong time.Duration, drift float64) {
	p.x.t.Helper()
	err := os.MkdirAll(p.x.path("clocks"), 0o777)
	if err == nil { // whole: it is read at any time
		err = os.WriteFile(p.clock()+".new", fmt.Appendf(nil, "%d %d\n", wrong, int(drift*1e6)), 0o666)
	}
	if err == nil {
		err = os.Rename(p.clock()+".new", p.clock())
	}
	if err != nil {
		p.x.t.Fatal(err)
	}
}

// steady is how long a checkpoint may take however wrong clocks are, without a kill.
const steady = 5 * time.Second

// clocks jump, drift and differ: nothing that waits may depend on them, and nothing that is computed.
func clocks() (all []scenario) {
	for _, w := range []*workload.Workload{workload.Windows, workload.WideChain} {
		all = append(all, scenario{row: "13", name: "jumps", clocks: true, workload: w, records: 150_000, fullOnly: w != workload.Windows, fault: func(x *run) {
			x.completes(1)
			attempt := x.attempt()
			for range 6 {
				p := x.processes()[x.random.IntN(3)]
				p.set([]time.Duration{time.Hour, -time.Hour, time.Second, -time.Second}[x.random.IntN(4)], 0)
				x.pass(50 * time.Millisecond) // until it has noticed
				x.inTime(x.completes(1))
			}
			x.noRestart(int(x.attempt() - attempt))
		}})
	}
	skewed := func(x *run) {
		for _, p := range x.processes() {
			p.set(time.Duration(x.random.Int64N(int64(118*time.Minute)))-59*time.Minute, 0.05*float64(x.random.IntN(3)-1))
		}
	}
	wrong := func(x *run) {
		for _, p := range x.processes() {
			if !strings.Contains(strings.Join(p.points(), "\n"), "clock wrong by ") {
				x.t.Errorf("the clock of %s was right all the time", p.name)
			}
		}
	}
	return append(all,
		scenario{row: "13", name: "skew and drift", clocks: true, prepare: skewed, last: wrong, fault: func(x *run) {
			attempt := x.attempt()
			for range 4 {
				x.inTime(x.completes(1))
			}
			x.noRestart(int(x.attempt() - attempt))
		}},
		scenario{row: "13", name: "skew and drift, kills", clocks: true, prepare: skewed, last: wrong, fault: func(x *run) {
			for _, p := range []*process{x.tms[x.random.IntN(2)], x.jm} {
				x.completes(1)
				p.kill()
				skewed(x)
				x.revive(p)
				x.mended()
			}
		}})
}

func (x *run) inTime(took time.Duration) {
	x.t.Helper()
	if took > steady {
		x.t.Errorf("a checkpoint was completed after %s (expected < %s)", took.Round(time.Millisecond), steady)
	}
}

func (x *run) noRestart(n int) {
	x.t.Helper()
	if n > 0 {
		x.t.Errorf("%d restarts (expected none)", n)
	}
}
