package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
)

// Each operator, and the job, is given a parallelism once.
func TestParallelismsAreGivenOnce(t *testing.T) {
	for _, c := range []struct {
		given     string
		job       int // 0: none
		operators map[string]int
		refused   string
	}{
		{given: "4", job: 4},
		{given: "counts=8 2 in=job", job: 2, operators: map[string]int{"counts": 8, "in": 0}},
		{given: "", refused: "--parallelism is missing"},
		{given: "2 3", refused: `--parallelism "3": that of the job is given twice`},
		{given: "2 2", refused: `--parallelism "2": that of the job is given twice`},
		{given: "counts=2 counts=job", refused: `--parallelism "counts=job": that of operator "counts" is given twice`},
		{given: "counts=0", refused: `--parallelism "counts=0" (expected`},
		{given: "many", refused: `--parallelism "many" (expected`},
	} {
		is, err := parallelismsOf(strings.Fields(c.given))
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%q: %v (expected %q)", c.given, err, c.refused)
			}
		case err != nil:
			t.Errorf("%q: %v", c.given, err)
		case !maps.Equal(is.Operators, c.operators) || (is.Parallelism == nil) != (c.job == 0) || is.Parallelism != nil && *is.Parallelism != c.job:
			t.Errorf("%q: %+v (expected %d, %v)", c.given, is, c.job, c.operators)
		}
	}
}

// What is wrong with a field of a request is wrong with the flag that gave it.
func TestAFlagIsNamedForItsField(t *testing.T) {
	err := flagged(api.Errorf(api.KindInvalid, "path: empty").WithHint("say where"), "path", "--to")
	if e, ok := err.(*api.Error); !ok || e.Detail != "--to: empty" || e.Hint != "say where" {
		t.Errorf("%+v", err)
	}
	if err := flagged(api.Errorf(api.KindConflict, "paths differ"), "path", "--to"); err.Error() != "paths differ" {
		t.Errorf("%v", err)
	}
}
