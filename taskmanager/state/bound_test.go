//go:build linux && !race

package state_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// What a process takes whose state spills, in bytes of its own: what it maps of files is the system's to take back.
const (
	boundBudgets = 5 // times the budget: entries twice, the database's buffers, and as much again as garbage is let grow
	boundBesides = 64 << 20
)

// A state that is much larger than its budget, by more where that is small, is written and read all over, in a process of its own.
func TestMemoryOfAProcessThatSpillsIsBounded(t *testing.T) {
	if os.Getenv("SPILLS") != "" {
		fmt.Printf("peak %d\n", spills(t))
		return
	}
	for _, c := range []struct{ budget, keys int64 }{{8 << 20, 60 * 8 << 10}, {64 << 20, 20 * 64 << 10}} {
		spillsWithin(t, c.budget, c.keys)
	}
}

func spillsWithin(t *testing.T, budget, keys int64) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-large-budget", fmt.Sprint(budget), "-large-keys", fmt.Sprint(keys))
	child.Env = append(os.Environ(), "SPILLS=1")
	out, err := child.CombinedOutput()
	var peak int64
	if _, scanned := fmt.Sscanf(string(out), "peak %d", &peak); err != nil || scanned != nil {
		t.Fatalf("%v, %v\n%s", err, scanned, out)
	}
	t.Logf("%d KiB of its own at most, with a budget of %d KiB", peak>>10, budget>>10)
	if peak < budget || peak > boundBudgets*budget+boundBesides {
		t.Errorf("the process had %d bytes of its own (expected > %d, what its entries may take, and <= %d)", peak, budget, boundBudgets*budget+boundBesides)
	}
}

// spills is the most memory of its own that this process has while keys are written, and then changed at random.
func spills(t *testing.T) (peak int64) {
	c := newCounts(t, *largeBudget)
	defer c.close()
	n := 0
	for range 2 * *largeKeys / 1024 {
		c.add(1024, func() int { n += 7919; return n % *largeKeys })
		if n/7919%(16<<10) == 0 {
			peak = max(peak, ownMemory(t))
		}
	}
	if c.s.Size() == 0 {
		t.Error("no state is in memory")
	}
	return peak
}

func ownMemory(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kib int64
	_, line, found := bytes.Cut(status, []byte("RssAnon:"))
	if _, err := fmt.Sscan(string(line), &kib); err != nil || !found {
		t.Fatalf("RssAnon of this process: %v", err)
	}
	return kib << 10
}
