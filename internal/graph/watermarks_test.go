package graph

import (
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
)

func TestASourceHasThePatienceOfThoseWhoUseItsTime(t *testing.T) {
	timed := func(idle int64) *abi.Watermarks { return &abi.Watermarks{IdleMs: idle} }
	op := func(kind abi.OperatorKind, w *abi.Watermarks, from ...int) Operator {
		o := Operator{Kind: kind, Watermarks: w}
		for _, i := range from {
			o.Inputs = append(o.Inputs, Input{From: i})
		}
		return o
	}
	for name, c := range map[string]struct {
		operators []Operator
		want      time.Duration
	}{
		"its own":         {[]Operator{op("source", timed(500)), op("timestamp", timed(100), 0)}, 500 * time.Millisecond},
		"nobody's":        {[]Operator{op("source", timed(0)), op("timestamp", timed(0), 0), op("sink", nil, 1)}, 0},
		"the smallest":    {[]Operator{op("source", nil), op("map", nil, 0), op("timestamp", timed(300), 1), op("timestamp", timed(200), 1), op("sink", nil, 0)}, 200 * time.Millisecond},
		"of a union":      {[]Operator{op("source", nil), op("source", nil), op("union", nil, 0, 1), op("timestamp", timed(70), 2)}, 70 * time.Millisecond},
		"used before too": {[]Operator{op("source", timed(0)), op("timestamp", timed(100), 0), op("key", nil, 0), op("count", nil, 2)}, 0},
		"behind a count":  {[]Operator{op("source", timed(0)), op("key", nil, 0), op("count", nil, 1), op("timestamp", timed(100), 2)}, 0},
	} {
		if got := (&JobGraph{Operators: c.operators}).Patience(0); got != c.want {
			t.Errorf("%s: %v (expected %v)", name, got, c.want)
		}
	}
}

// A timestamp function that is not in the chain of its source knows no splits, and who runs the job is told; one behind an operator
// with state has another input anyway.
func TestTimestampsApartFromSplits(t *testing.T) {
	op := func(name string, kind abi.OperatorKind, parallelism int, way Partition, from ...int) Operator {
		o := Operator{Name: name, UID: name, Kind: kind, Parallelism: parallelism}
		if kind == abi.OperatorTimestamp {
			o.Watermarks = &abi.Watermarks{OutOfOrderMs: 5}
		}
		for _, i := range from {
			o.Inputs = append(o.Inputs, Input{From: i, Partition: way, Exchange: Pipelined})
		}
		return o
	}
	files := op("files", abi.OperatorSource, 2, "")
	for name, c := range map[string]struct {
		operators []Operator
		want      int
	}{
		"in its chain":          {[]Operator{files, op("map", abi.OperatorMap, 2, Forward, 0), op("times", abi.OperatorTimestamp, 2, Forward, 1)}, 0},
		"another parallelism":   {[]Operator{files, op("times", abi.OperatorTimestamp, 3, Rebalance, 0)}, 1},
		"dealt out before":      {[]Operator{files, op("map", abi.OperatorMap, 2, Rebalance, 0), op("times", abi.OperatorTimestamp, 2, Forward, 1)}, 1},
		"of two sources":        {[]Operator{files, op("more", abi.OperatorSource, 2, ""), op("all", abi.OperatorUnion, 2, Forward, 0, 1), op("times", abi.OperatorTimestamp, 2, Forward, 2)}, 2},
		"behind a count":        {[]Operator{files, op("count", abi.OperatorCount, 2, Hash, 0), op("times", abi.OperatorTimestamp, 2, Forward, 1)}, 0},
		"only dealt out behind": {[]Operator{files, op("times", abi.OperatorTimestamp, 2, Forward, 0), op("map", abi.OperatorMap, 3, Rebalance, 1)}, 0},
	} {
		g := &JobGraph{Operators: c.operators}
		if got := Expand(g).ApartFromSplits(g); len(got) != c.want || c.want > 0 && !strings.HasPrefix(got[0], `timestamps "times" and their source "files" are not in one chain`) {
			t.Errorf("%s: %q (expected %d)", name, got, c.want)
		}
	}
}
