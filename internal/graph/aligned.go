package graph

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/abi"
)

// checkAligned refuses a timestamp function that is of a group of aligned sources, and is in no chain with a source: there is
// nobody who could be paused.
func (b *builder) checkAligned(g *JobGraph) error {
	x := Expand(g)
	for i := range g.Operators {
		op := &g.Operators[i]
		if op.Watermarks == nil || op.Watermarks.Group == "" {
			continue
		}
		c := slices.IndexFunc(x.Chains, func(c Chain) bool { return slices.Contains(c.Operators, i) })
		if head := &g.Operators[x.Chains[c].Operators[0]]; head.Kind != abi.OperatorSource {
			return faultf(fmt.Sprintf("operators[%d].watermarks.group", b.index[op.Name]), "%q, and its chain begins with %s %q (expected a source, whose splits can be paused)",
				op.Watermarks.Group, head.Kind, head.Name)
		}
	}
	return nil
}
