package clustertest

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/file"
)

var (
	seeds = flag.Int("seeds", 100, "how many seeds to run, from -seed on")
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

// TestSeedsOfPartitions runs the workload of many small files in many directories.
func TestSeedsOfPartitions(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/10, 1) {
		n := *seed + uint64(i)
		t.Run(fmt.Sprint(n), func(t *testing.T) { Run(t, scenario(n, workload.Partitions, 1+int(n)%2, cache)) })
	}
}

// TestSeedsOfRows runs the workload whose source leaves out what it cannot read.
func TestSeedsOfRows(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/10, 1) {
		n := *seed + uint64(i)
		t.Run(fmt.Sprint(n), func(t *testing.T) { Run(t, scenario(n, workload.Rows, 1+int(n)%2, cache)) })
	}
}

// TestSeedsOfUnending runs windows over input that does not end, rescaled once at least.
func TestSeedsOfUnending(t *testing.T) {
	cache := t.TempDir()
	rescales := 0
	for i := range max(min(*seeds, 100)/5, 3) {
		s := scenario(*seed+uint64(i), workload.Unending, 1+i%2, cache)
		s.Prefer = []string{"rescale", "stop", "kill"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) {
			effects := Run(t, s)
			rescales += effects["rescale"] + effects["stop"]
		})
	}
	if rescales == 0 {
		t.Error("no job had another parallelism")
	}
}

// TestSeedsOfRequests runs jobs that ask an outside which does not always answer.
func TestSeedsOfRequests(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/3, 6) {
		w := []*workload.Workload{workload.Asking, workload.AskingInOrder}[i%2]
		s := scenario(*seed+uint64(i), w, 1+i/2%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop", ""}[i/2%4]
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfOverlapping runs windows over files of a glob that overlap in time.
func TestSeedsOfOverlapping(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 3) {
		n := *seed + uint64(i)
		t.Run(fmt.Sprint(n), func(t *testing.T) { Run(t, scenario(n, workload.Overlapping, 1+i%2, cache)) })
	}
}

// TestSeedsOfIdle runs windows over files that fall silent one after the other: each holds the watermark back until it is idle.
func TestSeedsOfIdle(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 3) {
		s := scenario(*seed+uint64(i), workload.Idle, 1+i%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfBroadcast runs a broadcast state, of which another parallelism has another number of copies.
func TestSeedsOfBroadcast(t *testing.T) {
	cache := t.TempDir()
	rescales := 0
	for i := range max(min(*seeds, 100)/5, 4) {
		s := scenario(*seed+uint64(i), workload.Rules, 1+i%2, cache)
		s.Prefer = []string{"rescale", "stop", "kill"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) {
			effects := Run(t, s)
			rescales += effects["rescale"] + effects["stop"]
		})
	}
	if rescales == 0 {
		t.Error("no job had another parallelism")
	}
}

// TestSeedsOfMeetings runs a co-group and an outer join in windows, now and then with another parallelism.
func TestSeedsOfMeetings(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 4) {
		w := []*workload.Workload{workload.Together, workload.TogetherPairs}[i%2]
		s := scenario(*seed+uint64(i), w, 1+i/2%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfWhole sorts and maps all that a subtask has, gone on with and rescaled before the end of it is there, and behind it.
func TestSeedsOfWhole(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 6) {
		w := []*workload.Workload{workload.SortedLines, workload.Mapped, workload.SortedRows}[i%3]
		s := scenario(*seed+uint64(i), w, 1+i/3%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i/2%3]
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfDrift runs sources that wait for each other, over input that ends and input that does not: none waits for ever.
func TestSeedsOfDrift(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 6) {
		w := *workload.Drift
		w.Endless = i%2 == 1
		s := scenario(*seed+uint64(i), &w, 1+i/2%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfRoster runs a process function without key whose state is lists of the operator, rescaled and gone on with again and
// again.
func TestSeedsOfRoster(t *testing.T) {
	cache := t.TempDir()
	moved := 0
	for i := range max(min(*seeds, 100)/5, 6) {
		s := scenario(*seed+uint64(i), workload.Roster, 1+i%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) {
			effects := Run(t, s)
			moved += effects["rescale"] + effects["stop"]
		})
	}
	if moved == 0 {
		t.Error("no job had another parallelism")
	}
}

// TestSeedsOfFrames runs window functions with triggers of the guest's, now and then with another parallelism.
func TestSeedsOfFrames(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 4) {
		w := []*workload.Workload{workload.Framed, workload.FramedSessions}[i%2]
		s := scenario(*seed+uint64(i), w, 1+i/2%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprintf("%d %s", s.Seed, w.Name), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfFolds runs what is folded before it is sent, now and then with another parallelism.
func TestSeedsOfFolds(t *testing.T) {
	cache := t.TempDir()
	for i := range max(min(*seeds, 100)/5, 4) {
		s := scenario(*seed+uint64(i), workload.Folds, 1+i%2, cache)
		s.Prefer = []string{"rescale", "kill", "stop"}[i%3]
		t.Run(fmt.Sprint(s.Seed), func(t *testing.T) { Run(t, s) })
	}
}

// TestSeedsOfLetters runs the workloads whose keys, timers and results are told of in dead letters.
func TestSeedsOfLetters(t *testing.T) {
	cache := t.TempDir()
	for i := range uint64(9) {
		w := []*workload.Workload{workload.PoisonKeys, workload.PoisonTimers, workload.PoisonResults}[i%3]
		t.Run(fmt.Sprintf("%d %s", *seed+i, w.Name), func(t *testing.T) { Run(t, scenario(*seed+i, w, 1+int(i/3)%2, cache)) })
	}
}

// TestRescaledSourceIsExactToTheByte reads a file whose lines lie across the edges of its splits, while the job is rescaled
// again and again.
func TestRescaledSourceIsExactToTheByte(t *testing.T) {
	cache := t.TempDir()
	rescales := slices.DeleteFunc(slices.Clone(Faults), func(f Fault) bool { return !strings.HasPrefix(f.Name, "rescale") })
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

func scenario(seed uint64, w *workload.Workload, parallelism int, cache string) Scenario {
	return Scenario{
		Seed: seed, Workload: w, Records: 600 + int(seed%5)*200, Parallelism: parallelism, Guests: "../../test/guests", Cache: cache,
		Barriers: barriers(seed),
		Connectors: &connector.Registry{
			Sources: map[string]func(map[string]string) (connector.Source, error){"file": file.NewSource},
			Sinks:   map[string]func(map[string]string) (connector.Sink, error){"file": file.NewSink},
		},
	}
}
