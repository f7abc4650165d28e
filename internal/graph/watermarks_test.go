package graph

import (
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
