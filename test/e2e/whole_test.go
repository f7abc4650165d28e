package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// What is sorted, or taken by a function, is all that a subtask has, in both modes, in one process and on a cluster; also where it
// does not fit in memory.
func TestAllThatASubtaskHas(t *testing.T) {
	t.Setenv("WASMILL_STATE_BUDGET", "1MiB")
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	for i, w := range []*workload.Workload{workload.SortedLines, workload.SortedRows, workload.Mapped, workload.Reduced, workload.Aggregated, workload.SortedKeys, workload.Ranged} {
		for k, mode := range []string{"streaming", "batch"} {
			if w == workload.Ranged && mode != "batch" {
				continue // it is refused
			}
			t.Run(w.Name+" "+mode, func(t *testing.T) {
				inBothPlaces(t, cluster, w, mode, uint64(i+100*k))
			})
		}
	}
}

// Over input that does not end nothing would come of it: that is said before the job runs.
func TestAllOfWhatDoesNotEndIsRefused(t *testing.T) {
	for of, kind := range map[string]string{"sort": "sortPartition", "map": "mapPartition", "keys": "window"} {
		r := built.wasmill.Run(t, "run", guestOf(t, workload.SortedLines), "--param", "of="+of, "--param", "count=0", "--param", "output="+t.TempDir())
		if want := fmt.Sprintf(`%s "whole" puts out nothing before its input ends (`, kind); r.Code == 0 || !strings.Contains(r.Stderr, want) || !strings.Contains(r.Stderr, `, and source "generator" (generator) does not end`) {
			t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
		}
	}
}

// Ranges of a sample need all records first: that is said before the job runs.
func TestRangesOfASampleNeedBatchMode(t *testing.T) {
	w, dir := workload.Ranged, t.TempDir()
	params, _, err := w.Prepare(dir, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	args := batchArgs(1, params)
	args[1] = "streaming"
	r := built.wasmill.Run(t, append([]string{"run", guestOf(t, w)}, args...)...)
	for _, want := range []string{`"ranged" deals records out by ranges of a sample, which takes all of them first`, "--mode batch"} {
		if r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
		}
	}
}

// chosen looks up how the join of the newest job was done, which says nothing of that itself, and whose inputs are small.
func chosen(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	r := built.wasmill.Run(t, "info", string(cluster.Job().ID), "--jobmanager", cluster.URL)
	if want := ", chosen by how many records there are: "; !strings.Contains(r.Stdout, `"met": repartitionHash`) || !strings.Contains(r.Stdout, want) {
		t.Errorf("info says %s", r.Stdout)
	}
}

// All that meets comes out, however a join is done, in both modes; what would be lost is refused before the job runs.
func TestJoinsAreDoneAsHinted(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "1")
	for i, c := range []struct{ hint, outer, mode string }{
		{"broadcastHashSecond", "left", "batch"}, {"broadcastHashFirst", "right", "batch"}, {"repartitionHashSecond", "full", "batch"},
		{"repartitionHashFirst", "left", "batch"}, {"repartitionSortMerge", "full", "batch"}, {"", "full", "batch"}, {"broadcastHashSecond", "none", "streaming"},
	} {
		w := workload.Met(c.hint, c.outer)
		t.Run(w.Name+" "+c.mode, func(t *testing.T) {
			for _, parallelism := range []int{1, 2} {
				dir := t.TempDir()
				params, input, err := w.Prepare(dir, uint64(i), 4000)
				if err != nil {
					t.Fatal(err)
				}
				args := batchArgs(parallelism, params)
				args[1] = c.mode
				cluster.Run(guestOf(t, w), args...).OK(t)
				if err := w.Verify(dir, input); err != nil {
					t.Errorf("parallelism %d: %v", parallelism, err)
				}
				if c.hint == "" {
					chosen(t, cluster)
				}
			}
		})
	}
	if r := built.wasmill.Run(t, "info", string(cluster.Job().ID), "--jobmanager", cluster.URL); !strings.Contains(r.Stdout, `"met": broadcastHashSecond, which says nothing in streaming mode`) {
		t.Errorf("info says %s", r.Stdout)
	}
	w := workload.Met("broadcastHashFirst", "full")
	params, _, err := w.Prepare(t.TempDir(), 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	r := built.wasmill.Run(t, append([]string{"run", guestOf(t, w)}, batchArgs(1, params)...)...)
	if want := `"broadcastHashFirst" of a full outer join (expected repartitionHashFirst or repartitionSortMerge`; r.Code == 0 || !strings.Contains(r.Stderr, want) {
		t.Errorf("code %d, %s\nexpected %s", r.Code, r.Stderr, want)
	}
}
