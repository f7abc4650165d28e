package clustertest

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
)

var (
	seeds = flag.Int("seeds", 140, "how many seeds to run, from -seed on")
	seed  = flag.Uint64("seed", 1, "the first seed")
)

// barriers is how checkpoints pass what is in flight with a seed.
func barriers(n uint64) Barriers {
	switch n / uint64(2*len(workload.All)) % 3 {
	case 1:
		return Barriers{Slow: true, Unaligned: true}
	case 2:
		return Barriers{Slow: true, Patience: time.Duration(1+n%5) * 40 * time.Millisecond}
	}
	return Barriers{}
}

// TestSeeds runs workloads under faults that each seed chooses. A seed that fails is run again alone with -seed N -seeds 1.
func TestSeeds(t *testing.T) {
	cache := t.TempDir()
	if testing.Short() {
		*seeds = min(*seeds, 10)
	}
	for i := range *seeds {
		n := *seed + uint64(i)
		w := workload.All[n%uint64(len(workload.All))]
		t.Run(fmt.Sprintf("%d %s", n, w.Name), func(t *testing.T) {
			Run(t, scenario(n, w, 1+int(n/uint64(len(workload.All)))%2, cache))
		})
	}
}

// TestRescaledSourceIsExactToTheByte reads a file whose lines lie across the edges of its splits, while the job is rescaled
// again and again.
func TestRescaledSourceIsExactToTheByte(t *testing.T) {
	cache := t.TempDir()
	rescales := faultsThat("rescale")
	done := 0
	for i := range uint64(4) {
		s := scenario(*seed+i, workload.Edges, 2, cache)
		s.Faults = slices.Concat(rescales, rescales)[i%3 : i%3+4]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) { done += Run(t, s)["rescale"] })
	}
	if done == 0 {
		t.Error("no rescale was done")
	}
}

// TestDamageIsRefusedOrMended damages checkpoints again and again: what is committed by a job that ends of it is right.
func TestDamageIsRefusedOrMended(t *testing.T) {
	cache := t.TempDir()
	refused := 0
	for i, w := range workload.All {
		s := scenario(*seed+uint64(i), w, 1+i%2, cache)
		s.Faults = slices.Repeat([]Fault{fault("checkpoint damaged")}, 4)
		t.Run(w.Name, func(t *testing.T) { refused += Run(t, s)[damageRefused] })
	}
	if refused == 0 {
		t.Error("no job has ended of a damage")
	}
}

// TestSeedsOfBatch runs jobs in batch mode whose JobManager and TaskManagers are killed between their stages and in them, with sinks
// that take their time: the second stage is not over at once.
func TestSeedsOfBatch(t *testing.T) {
	cache := t.TempDir()
	kept := 0
	all := []*workload.Workload{
		workload.Ledger, workload.Windows, workload.HashChain, workload.Enrich, workload.NearbyPairs, workload.Sliding, workload.Ranged,
		workload.Mapped, workload.Met("", "full"), workload.Met("broadcastHashSecond", "left"), workload.Met("broadcastHashFirst", "right"),
		workload.Met("repartitionHashSecond", "full"), workload.Met("repartitionHashFirst", "left"), workload.Met("repartitionSortMerge", "full"),
	}
	for i := range max(min(*seeds, 100)*len(all)/50, len(all)) {
		w := all[i%len(all)]
		s := scenario(*seed+uint64(i), w, 1+(i+i/len(all))%2, cache)
		s.Batch, s.Among, s.Barriers = true, BatchFaults(), Barriers{Slow: true}
		s.Prefer = []string{"killed", "", "JobManager"}[i%3]
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { kept += Run(t, s)["went on with results"] })
	}
	if kept == 0 {
		t.Error("no job has gone on with what its tasks had left")
	}
}

// TestTablesOfBatchFillUp runs jobs in batch mode that fold into tables, under the same faults, with less memory than a few keys
// take: what is in a table is sorted, and the table begun anew, all the time.
func TestTablesOfBatchFillUp(t *testing.T) {
	cache := t.TempDir()
	for i, w := range slices.Repeat([]*workload.Workload{workload.Windows, workload.Sliding, workload.Folds}, 4) {
		s := scenario(*seed+uint64(i), w, 1+i%2, cache)
		s.Batch, s.Among, s.Barriers, s.Budget = true, BatchFaults(), Barriers{Slow: true}, 4096
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { Run(t, s) })
	}
}

// fileConnectors are those of the workloads.
var fileConnectors = &connector.Registry{
	Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
	Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
}

func scenario(seed uint64, w *workload.Workload, parallelism int, cache string) Scenario {
	return Scenario{
		Seed: seed, Workload: w, Records: 600 + int(seed%5)*200, Parallelism: parallelism, Guests: "../../test/guests", Cache: cache,
		Barriers:   barriers(seed),
		Connectors: fileConnectors,
	}
}
