package graph

import (
	"reflect"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// Both ends of an edge must know the same channels, or one waits for the other for ever.
func TestBothEndsKnowTheSameChannels(t *testing.T) {
	for _, p := range []Partition{Forward, Hash, Rebalance, Shuffle, Rescale, Broadcast, Global, Custom} {
		for senders := 1; senders <= 9; senders++ {
			for receivers := 1; receivers <= 9; receivers++ {
				if p == Forward && senders != receivers {
					continue
				}
				for s := range senders {
					for r := range receivers {
						to, n := p.Receivers(s, senders, receivers)
						from, m := p.Senders(r, receivers, senders)
						if (to <= r && r < to+n) != (from <= s && s < from+m) {
							t.Fatalf("%s: %d of %d sends to %d from %d, and %d of %d takes from %d from %d", p, s, senders, n, to, r, receivers, m, from)
						}
						if n == 0 || m == 0 || to+n > receivers || from+m > senders {
							t.Fatalf("%s: %d of %d sends to %d from %d of %d, %d of which takes from %d from %d", p, s, senders, n, to, receivers, r, m, from)
						}
						if p == Rescale && n > 1 && m > 1 {
							t.Fatalf("rescale: %d of %d and %d of %d have others, both", s, senders, r, receivers)
						}
					}
				}
			}
		}
	}
}

// dealt is wordCount with a partition operator before a map of another parallelism.
func dealt() *abi.Manifest {
	return &abi.Manifest{
		ABI:  1,
		Name: "dealt",
		Functions: []abi.Function{
			{ID: 0, Name: "last", Kind: abi.FunctionPartition, Inputs: []abi.Codec{"utf8"}, Output: "utf8"},
			{ID: 1, Name: "same", Kind: abi.FunctionMap, Inputs: []abi.Codec{"utf8"}, Output: "utf8"},
		},
		Operators: []abi.Operator{
			{Name: "files", Kind: abi.OperatorSource, Connector: &abi.Connector{Type: "file"}, Output: "utf8"},
			{Name: "last", Kind: abi.OperatorPartition, Function: "last", Inputs: []abi.Input{{From: "files"}}, Output: "utf8"},
			{Name: "same", Kind: abi.OperatorMap, Function: "same", Inputs: []abi.Input{{From: "last"}}, Output: "utf8"},
			{Name: "out", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "file"}, Inputs: []abi.Input{{From: "same"}}},
		},
	}
}

func TestPartitionsAndSlots(t *testing.T) {
	tests := []struct {
		name   string
		change func(m *abi.Manifest)
		want   string // chains with their slot groups, or the fault
		slots  int
	}{
		{"custom behind a partition", func(m *abi.Manifest) {}, "files -> last, same -> out", 2},
		{"receivers of two parallelisms", func(m *abi.Manifest) {
			m.Operators[2].Parallelism = 3
			m.Operators[3].Inputs[0].From = "last"
			m.Operators = append(m.Operators, abi.Operator{Name: "more", Kind: abi.OperatorSink, Connector: &abi.Connector{Type: "print"}, Inputs: []abi.Input{{From: "same"}}})
		}, `operator "out": operators[3].inputs[0]: parallelism 2, and another receiver of partition "last" has 3 (expected the same)`, 0},
		{"no custom behind a partition", func(m *abi.Manifest) { m.Operators[2].Inputs[0].Partition = "shuffle" },
			`operator "same": operators[2].inputs[0].partition: shuffle behind partition "last" (expected custom: that says who gets a record)`, 0},
		{"custom elsewhere", func(m *abi.Manifest) { m.Operators[3].Inputs[0].Partition = "custom" },
			`operator "out": operators[3].inputs[0].partition: custom behind map "same" (expected a partition operator before it)`, 0},
		{"a chain that begins", func(m *abi.Manifest) { m.Operators[1].Chaining = "begin" }, "files, last, same -> out", 2},
		{"a chain alone", func(m *abi.Manifest) { m.Operators[2].Chaining = "alone" }, "files -> last, same, out", 2},
		{"unknown chaining", func(m *abi.Manifest) { m.Operators[2].Chaining = "never" }, `operator "same": operators[2].chaining: "never" (expected begin or alone)`, 0},
		{"a slot group is inherited", func(m *abi.Manifest) { m.Operators[2].SlotGroup = "heavy" }, "files -> last, same -> out @heavy", 4},
		{"and left again", func(m *abi.Manifest) {
			m.Operators[2].SlotGroup, m.Operators[3].SlotGroup, m.Operators[3].Parallelism = "heavy", "default", 1
		}, "files -> last, same @heavy, out", 4},
		{"a group without a name", func(m *abi.Manifest) { m.Operators[2].SlotGroup = "\n" }, `operator "same": operators[2].slotGroup: "\n" (expected printable characters, not '\n')`, 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			m := dealt()
			c.change(m)
			g, err := build(m, 2)
			if err != nil {
				if err.Error() != c.want {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				return
			}
			x := Expand(g)
			var chains []string
			for i, chain := range x.Chains {
				name := x.ChainName(g, i)
				if chain.SlotGroup != "" {
					name += " @" + chain.SlotGroup
				}
				chains = append(chains, name)
			}
			if got := strings.Join(chains, ", "); got != c.want || x.SlotsNeeded() != c.slots {
				t.Errorf("got  %s in %d slots\nwant %s in %d", got, x.SlotsNeeded(), c.want, c.slots)
			}
			if again := Expand(g); !reflect.DeepEqual(x, again) {
				t.Error("another answer the second time")
			}
		})
	}
}
