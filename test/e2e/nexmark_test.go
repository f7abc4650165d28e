package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	nexmark "github.com/wasmill/wasmill/internal/nexmark/reference"
	"github.com/wasmill/wasmill/test/harness"
)

// eventsOf is a file of events, as the command makes it, and what the reference reads in it.
func eventsOf(t *testing.T, format string, flags ...string) (path string, events *nexmark.Events) {
	t.Helper()
	dir := t.TempDir()
	lines := filepath.Join(dir, "events.json")
	built.wasmill.Run(t, append([]string{"nexmark", "generate", lines}, flags...)...).OK(t)
	f, err := os.Open(lines)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if events, err = nexmark.Read(f); err != nil {
		t.Fatal(err)
	}
	if format == "json" {
		return lines, events
	}
	path = filepath.Join(dir, "events.bin")
	built.wasmill.Run(t, append([]string{"nexmark", "generate", path, "--format", format}, flags...)...).OK(t)
	return path, events
}

// A job reads each bid once, and has each in its window though it comes 4 s late, made or from a file, whatever is killed.
func TestNexmarkSource(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "200ms")
	const n = 200_000
	path, events := eventsOf(t, "binary", "--events", fmt.Sprint(n), "--rate", "250", "--out-of-order", "4s", "--seed", "3")
	made := []string{"--param", "events=" + fmt.Sprint(n), "--param", "rate=250", "--param", "out-of-order=4s", "--param", "seed=3"}
	for _, c := range []struct {
		from        []string
		parallelism int
	}{{made, 1}, {[]string{"--param", "path=" + path}, 2}, {made, 4}} {
		t.Run(fmt.Sprintf("%s at %d", c.from[1], c.parallelism), func(t *testing.T) {
			pace := paced(t)
			cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "4")
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{"--param", "output=" + out, "--param", "limit=100000", "--parallelism", fmt.Sprint(c.parallelism)}, c.from...)
			run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/nexmark.wasm"), args...)
			killAtCheckpoints(t, cluster, nil, 2)
			pace.full()
			harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
			run.Wait()
			if j := cluster.Job(); j.State != api.JobFinished {
				t.Fatalf("job is %s: %v", j.State, j.Failure)
			}
			q0, err := nexmark.Find("q0")
			if err != nil {
				t.Fatal(err)
			}
			d, err := nexmark.Expect(q0, events).Compare(filepath.Join(out, "bids"))
			if err != nil || !d.Same() {
				t.Errorf("%v\n%v", d, err)
			}
			harness.Same(t, harness.Output(t, filepath.Join(out, "counts")), countsOf(events))
		})
	}
}

// countsOf is how many bids there are for each auction in each 10 s, as the job writes it.
func countsOf(events *nexmark.Events) string {
	counts := map[string]int{}
	for _, b := range events.Bids {
		start := time.UnixMilli(int64(b.DateTime)).UTC().Truncate(10 * time.Second)
		const layout = "2006-01-02 15:04:05.000"
		counts[fmt.Sprintf(`{"start":%q,"end":%q,"key":%d,"value":`, start.Format(layout), start.Add(10*time.Second).Format(layout), b.Auction)]++
	}
	var lines strings.Builder
	for window, n := range counts {
		fmt.Fprintf(&lines, "%s%d}\n", window, n)
	}
	return sorted(lines.String())
}
