package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// TestWithoutFaults says that the workloads and their checks fit each other.
func TestWithoutFaults(t *testing.T) {
	cache := t.TempDir()
	for _, w := range workload.All {
		for parallelism := 1; parallelism <= 3; parallelism++ {
			t.Run(fmt.Sprintf("%s %d", w.Name, parallelism), func(t *testing.T) {
				s := scenario(uint64(parallelism), w, parallelism, cache)
				s.Records, s.Faults, s.Barriers = 600, []Fault{}, Barriers{}
				if effects := Run(t, s); w.Late != nil && effects["late lines"] == 0 && parallelism > 1 {
					t.Error("no line was late")
				}
			})
		}
	}
}

// TestStopAndGoOn stops each workload twice with savepoints, with and without drain, and has other jobs go on from them: alone, while
// a TaskManager is killed, or while the JobManager is.
func TestStopAndGoOn(t *testing.T) {
	cache := t.TempDir()
	all := faultsThat("stop and go on")
	for i, w := range workload.All {
		two := []Fault{all[i%len(all)], all[(i+1)%len(all)]}
		t.Run(fmt.Sprintf("%s, %s, %s", w.Name, two[0].Name, two[1].Name), func(t *testing.T) {
			s := scenario(uint64(100*i), w, 1+i/len(all)%2, cache)
			s.Records, s.Faults = 900, two
			Run(t, s)
		})
	}
}

// faultsThat are those whose names begin so.
func faultsThat(begin string) (all []Fault) {
	for _, f := range Faults {
		if strings.HasPrefix(f.Name, begin) {
			all = append(all, f)
		}
	}
	return all
}

// fault is one by its name.
func fault(name string) Fault {
	return Faults[slices.IndexFunc(Faults, func(f Fault) bool { return f.Name == name })]
}
