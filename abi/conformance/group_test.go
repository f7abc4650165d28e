package conformance_test

import (
	"fmt"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// groups are those of a keyed call, for the function f.
type groups struct {
	f    abi.Function
	list []group
}

type group struct {
	head         abi.Group
	accumulators [][]byte
	values       [][]byte
	timestamps   []int64 // nil, or one for each value
}

// parseGroups reads groups, one a line: a key, a window if there is one, accumulators, values. With timed, the values
// have timestamps.
//
//	"whale" window=0..1000 acc=7 acc=3 timed 1 2 1000 x 5
func parseGroups(f abi.Function, text string) (*groups, error) {
	g := &groups{f: f}
	for _, s := range strings.Split(text, "\n") {
		l := &line{s}
		if !l.more() {
			continue
		}
		one, err := l.group(f)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", s, err)
		}
		g.list = append(g.list, one)
	}
	return g, nil
}

func (l *line) group(f abi.Function) (g group, err error) {
	timed := false
	g.head.Key, err = l.encoded(f.Key)
	for l.more() && err == nil {
		switch {
		case l.takes("window="):
			g.head.Flags = abi.GroupHasWindow
			var window any
			if window, err = l.value(); err == nil {
				_, err = fmt.Sscanf(string(window.(number)), "%d..%d", &g.head.WindowStart, &g.head.WindowEnd)
			}
		case l.takes("acc="):
			var acc []byte
			acc, err = l.encoded(f.Accumulator)
			g.accumulators = append(g.accumulators, acc)
		case l.takes("timed"):
			timed = true
		default:
			n := l.times()
			var v []byte
			v, err = l.encoded(f.Inputs[0])
			for range n {
				g.values = append(g.values, v)
			}
		}
	}
	if timed {
		g.timestamps = make([]int64, len(g.values))
	}
	return g, err
}

// writer encodes the groups, the values before the accumulators in every second one: their order is the host's choice.
func (g *groups) writer() *abi.GroupsWriter {
	w := new(abi.GroupsWriter)
	w.Reset()
	for k, one := range g.list {
		w.Begin(one.head)
		if k%2 == 1 && one.values != nil {
			w.List(abi.ListInput0, 0, len(one.values), one.timestamps, one.values)
		}
		if one.accumulators != nil {
			w.List(abi.ListAccumulators, 0, len(one.accumulators), nil, one.accumulators)
		}
		if k%2 == 0 && one.values != nil {
			w.List(abi.ListInput0, 0, len(one.values), one.timestamps, one.values)
		}
		w.EndGroup()
	}
	return w
}

// printReply prints the new accumulator of each group that has one. The host has checked the reply.
func (h *handle) printReply(g *groups, p []byte) string {
	var out strings.Builder
	for len(p) > 0 {
		entry, rest, err := abi.NextReplyEntry(p)
		if err != nil {
			return err.Error()
		}
		actions := entry.Actions
		for range entry.Count {
			var a abi.Action
			if a, actions, err = abi.NextAction(actions); err != nil {
				return err.Error()
			}
			key := printValue(g.f.Key, g.list[entry.Group].head.Key)
			if a.Op != abi.ActionPut || a.Index != 0 {
				fmt.Fprintf(&out, "%s action %d of state %d\n", key, a.Op, a.Index)
				continue
			}
			fmt.Fprintf(&out, "%s acc=%s\n", key, printValue(g.f.Accumulator, a.Value))
		}
		p = rest
	}
	return out.String()
}
