//go:build faults

package faults

import (
	"slices"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// anyWorkloads are those of the simulation that can be run in real time: their input ends, they ask nobody outside, and what they
// must make does not hang on how far the watermark is behind.
func anyWorkloads() []*workload.Workload {
	return slices.DeleteFunc(slices.Clone(workload.All), func(w *workload.Workload) bool {
		return w.Endless || w.Guest == workload.Asking.Guest || w == workload.Recent
	})
}

// anything runs workloads that the seed draws from all that there are, and kills processes: one at a random time, then all at once.
func anything() (all []scenario) {
	for _, which := range []string{"one", "another", "a third"} {
		all = append(all, scenario{row: "3", name: "any workload, " + which, any: true, remark: true, limit: 2 * time.Minute, fault: func(x *run) {
			x.completes(1)
			x.strike()
			x.mended()
			for _, p := range x.processes() {
				p.kill()
			}
			x.killed = true
			x.mended()
		}})
	}
	return all
}

// Input of any workload: so many batches of its largest file, with a pause before each, last as long as the kills need them.
const (
	anyBatches = 12
	anyPace    = time.Second
	tryRecords = 8_000
)

// chooseAny lets the seed draw a workload.
func (x *run) chooseAny() {
	s, all := *x.scenario, anyWorkloads()
	s.workload, s.pace = all[x.random.IntN(len(all))], anyPace
	s.records = tryRecords * anyBatches / largest(s.workload.Make(x.seed, tryRecords))
	x.scenario = &s
}

// largest is how many batches the largest file has.
func largest(in workload.Input) int {
	most := 1
	for _, files := range in {
		for _, lines := range files {
			bytes := 0
			for _, l := range lines {
				bytes += len(l) + 1
			}
			most = max(most, len(lines)/1024, bytes/(64<<10))
		}
	}
	return most
}
