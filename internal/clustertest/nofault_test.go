package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
)

// TestWithoutFaults says that the workloads and their checks fit each other.
func TestWithoutFaults(t *testing.T) {
	cache := t.TempDir()
	for _, w := range append(slices.Clone(workload.All), workload.Unending) {
		for parallelism := 1; parallelism <= 3; parallelism++ {
			t.Run(fmt.Sprintf("%s %d", w.Name, parallelism), func(t *testing.T) {
				Run(t, Scenario{
					Seed: uint64(parallelism), Workload: w, Records: 600, Parallelism: parallelism, Guests: "../../test/guests", Cache: cache, Faults: []Fault{},
					Connectors: &connector.Registry{
						Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
						Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
					},
				})
			})
		}
	}
}

// TestStopAndGoOn stops each workload with savepoints, with and without drain, and has other jobs go on from them; alone, while a
// TaskManager is killed, and while the JobManager is.
func TestStopAndGoOn(t *testing.T) {
	cache := t.TempDir()
	var all []Fault
	for _, f := range Faults {
		if strings.HasPrefix(f.Name, "stop and go on") {
			all = append(all, f)
		}
	}
	for i, w := range append([]*workload.Workload{workload.Moved}, workload.All...) {
		for k, f := range all {
			t.Run(w.Name+", "+f.Name, func(t *testing.T) {
				Run(t, Scenario{
					Seed: uint64(100*i + k), Workload: w, Records: 900, Parallelism: 1 + (i+k)%2, Guests: "../../test/guests", Cache: cache, Faults: []Fault{f, f},
					Connectors: &connector.Registry{
						Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
						Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
					},
				})
			})
		}
	}
}

// fault is one by its name.
func fault(name string) Fault {
	return Faults[slices.IndexFunc(Faults, func(f Fault) bool { return f.Name == name })]
}
