package hosttest

import (
	"fmt"

	"github.com/wasmill/wasmill/abi"
)

// Keyed is one keyed function, a reduce or an aggregate. The test holds the accumulators, as the engine does.
type Keyed struct {
	handle *Handle
	header abi.CallHeader
	groups abi.GroupsWriter
}

// Keyed opens a keyed function by its name.
func (g *Guest) Keyed(name string) *Keyed {
	g.t.Helper()
	f := g.Function(name)
	h := g.open(abi.HandleFunction{Function: f.ID, Upstream: abi.None, Outputs: outputsOf(f, true)})
	return &Keyed{handle: h, header: header()}
}

// Group is one key with what a call takes of it.
type Group struct {
	Key                    string
	WindowStart, WindowEnd int64    // both 0: no window
	Values                 []string // of records, for Accumulate
	Accumulators           []string // at most one for Accumulate and Result, any number for Merge
}

// Accumulate adds values to accumulators and returns the new accumulator of each group.
func (k *Keyed) Accumulate(groups ...Group) []string {
	k.handle.guest.t.Helper()
	return k.accumulators(abi.VerbAccumulate, groups)
}

// Merge makes one accumulator of each group's.
func (k *Keyed) Merge(groups ...Group) []string {
	k.handle.guest.t.Helper()
	return k.accumulators(abi.VerbMerge, groups)
}

// Result returns what the function emits for accumulators.
func (k *Keyed) Result(groups ...Group) []Record {
	k.handle.guest.t.Helper()
	_, emitted, err := k.Try(abi.VerbResult, groups...)
	if err != nil {
		k.handle.guest.t.Fatal(err)
	}
	return emitted
}

func (k *Keyed) accumulators(verb abi.Verb, groups []Group) []string {
	k.handle.guest.t.Helper()
	accumulators, _, err := k.Try(verb, groups...)
	if err != nil {
		k.handle.guest.t.Fatal(err)
	}
	return accumulators
}

// Try makes a keyed call and returns the accumulator of each group, the old one where the guest left it, and what was
// emitted.
func (k *Keyed) Try(verb abi.Verb, groups ...Group) (accumulators []string, emitted []Record, err error) {
	k.write(groups)
	accumulators = make([]string, len(groups))
	for n, g := range groups {
		if len(g.Accumulators) == 1 {
			accumulators[n] = g.Accumulators[0]
		}
	}
	effects, err := k.handle.Keyed(verb, &k.header, &k.groups)
	if err != nil {
		return accumulators, nil, err
	}
	return accumulators, recordsOf(effects), readReply(effects.Reply, accumulators)
}

func (k *Keyed) write(groups []Group) {
	k.groups.Reset()
	for _, g := range groups {
		group := abi.Group{Key: []byte(g.Key), WindowStart: g.WindowStart, WindowEnd: g.WindowEnd}
		if g.WindowStart != g.WindowEnd {
			group.Flags = abi.GroupHasWindow
		}
		k.groups.Begin(group)
		if len(g.Accumulators) > 0 {
			k.groups.List(abi.ListAccumulators, 0, len(g.Accumulators), nil, toBytes(g.Accumulators))
		}
		if len(g.Values) > 0 {
			k.groups.List(abi.ListInput0, 0, len(g.Values), nil, toBytes(g.Values))
		}
		k.groups.EndGroup()
	}
}

// readReply takes the new accumulators out of a reply.
func readReply(p []byte, accumulators []string) error {
	for len(p) > 0 {
		entry, rest, err := abi.NextReplyEntry(p)
		if err != nil {
			return err
		}
		actions := entry.Actions
		for range entry.Count {
			var a abi.Action
			if a, actions, err = abi.NextAction(actions); err != nil {
				return err
			}
			switch a.Op {
			case abi.ActionPut:
				accumulators[entry.Group] = string(a.Value)
			case abi.ActionClear:
				accumulators[entry.Group] = ""
			default:
				return fmt.Errorf("group %d: action %d, which a reduce or aggregate cannot have", entry.Group, a.Op)
			}
		}
		p = rest
	}
	return nil
}

func toBytes(values []string) [][]byte {
	list := make([][]byte, len(values))
	for k, v := range values {
		list[k] = []byte(v)
	}
	return list
}
