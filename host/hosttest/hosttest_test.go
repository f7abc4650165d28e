package hosttest_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/hosttest"
)

const upper = "../testdata/upper.wasm"

func number(n int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

func TestChain(t *testing.T) {
	for _, options := range [][]hosttest.Option{nil, {hosttest.ReplaceInstances()}} {
		g := hosttest.Open(t, upper, nil, options...)
		c := g.Chain("upper")
		out := c.Process(hosttest.Record{Timestamp: 7, Value: "whale"}, hosttest.Record{Timestamp: 5, Value: "Sea"})
		if got := fmt.Sprint(out); got != `["WHALE"@7 "SEA"@5]` {
			t.Errorf("emitted %s", got)
		}
		if c.Newest() != 7 || g.Metric("records") != 2 {
			t.Errorf("newest %d, metric %d", c.Newest(), g.Metric("records"))
		}
		_, err := c.Try(hosttest.Values("good", "bad")...)
		if e, ok := err.(*host.Error); !ok || e.Record != 1 || e.Kind != host.KindFailed {
			t.Errorf("error %v", err)
		}
		if out := c.Process(hosttest.Values("again")...); out[0].Value != "AGAIN" {
			t.Errorf("emitted %v", out)
		}
	}
}

func TestKeyed(t *testing.T) {
	for _, options := range [][]hosttest.Option{nil, {hosttest.ReplaceInstances()}} {
		sum := hosttest.Open(t, upper, nil, options...).Keyed("sum")
		groups := []hosttest.Group{
			{Key: "a", Values: []string{number(1), number(2)}},
			{Key: "b", Values: []string{number(40)}, Accumulators: []string{number(2)}},
		}
		if got := sum.Accumulate(groups...); got[0] != number(3) || got[1] != number(42) {
			t.Errorf("accumulators %q", got)
		}
		if _, _, err := sum.Try(abi.VerbMerge, groups...); err == nil {
			t.Error("an unknown verb was answered")
		}
		if got := sum.Accumulate(groups[0]); got[0] != number(3) {
			t.Errorf("after an error: %q", got)
		}
	}
}
