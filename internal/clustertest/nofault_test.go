package clustertest

import (
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
)

// TestWithoutFaults says that the workloads and their checks fit each other.
func TestWithoutFaults(t *testing.T) {
	cache := t.TempDir()
	for _, w := range workload.All {
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
