package main

import (
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for got, want := range map[string]string{
		count(17141): "17,141", size(240_000): "240 KB", size(1_200_000): "1.2 MB", size(-1): "0 B",
		rate(999): "999", rate(3_104_000): "3.10 M", rate(291_260): "291 k", rate(12_340): "12.3 k", rate(0): "0",
		seconds(44 * time.Millisecond): "0.044 s", seconds(400 * time.Millisecond): "0.4 s", seconds(12 * time.Second): "12 s",
		seconds(200 * time.Second): "3m 20s", age(76*time.Hour + time.Minute): "3d 4h", age(-time.Second): "0s",
		plural(1, "file"): "1 file", plural(2000, "row"): "2,000 rows",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIdsAreAsShortAsTheyCanBe(t *testing.T) {
	jobs := func(ids ...graph.JobID) (all []api.Job) {
		for _, id := range ids {
			all = append(all, api.Job{ID: id})
		}
		return all
	}
	if n := shortest(jobs("7f3a9c000000", "19be02000000")); n != 6 {
		t.Errorf("%d digits, want 6", n)
	}
	if n := shortest(jobs("7f3a9c010000", "19be02000000", "7f3a9c020000")); n != 8 {
		t.Errorf("%d digits, want 8", n)
	}
}
