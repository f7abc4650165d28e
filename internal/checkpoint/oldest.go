package checkpoint

import (
	"maps"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
)

// Versions is the schema version of the oldest element of each state that has any, by uid and name.
type Versions map[string]map[string]int

// Add takes in what else there is.
func (o Versions) Add(uid, state string, version int) {
	if o[uid] == nil {
		o[uid] = map[string]int{}
	}
	if known, has := o[uid][state]; !has || version < known {
		o[uid][state] = version
	}
}

// AddAll takes in what there is of one operator.
func (o Versions) AddAll(uid string, states map[string]int) {
	for state, version := range states {
		o.Add(uid, state, version)
	}
}

// Oldest is, of the states that may hold elements of older versions, the oldest version that they do hold, as far as that is
// known: each task of the operator has looked at all that its files say.
func Oldest(g *graph.JobGraph, tasks []Task) Versions {
	x, found := graph.Expand(g), Versions{}
	for i := range g.Operators {
		op := &g.Operators[i]
		if len(op.Oldest) == 0 || op.Declared == nil {
			continue
		}
		chain := slices.IndexFunc(x.Chains, func(c graph.Chain) bool { return slices.Contains(c.Operators, i) })
		surveyed, of := 0, Versions{} // tasks, and what they have
		for _, t := range tasks {
			if t.Task.Chain != chain || len(t.Files) > 0 && t.Versions == nil {
				continue
			}
			surveyed++
			of.AddAll(op.UID, t.Versions[op.UID])
		}
		if surveyed < x.Chains[chain].Parallelism {
			continue
		}
		for _, s := range op.Declared.Keeps() {
			if _, noted := op.Oldest[s.Name]; !noted {
				continue
			}
			found.Add(op.UID, s.Name, s.Version)
			if version, has := of[op.UID][s.Name]; has {
				found.Add(op.UID, s.Name, version)
			}
		}
	}
	return found
}

// Raise is a graph in which states hold no version that none of these hold, each of which says so of something that the job may go
// on from. A graph of which nothing changes is answered as it is.
func Raise(g graph.JobGraph, all []Versions) graph.JobGraph {
	raised := false
	for i := range g.Operators {
		for state, was := range g.Operators[i].Oldest {
			version, known := least(all, g.Operators[i].UID, state)
			if !known || version <= was {
				continue
			}
			if !raised { // others have the operators, too
				g.Operators, raised = slices.Clone(g.Operators), true
			}
			raise(&g.Operators[i], state, version)
		}
	}
	return g
}

// least is the oldest version that any of these says of a state, if all do.
func least(all []Versions, uid, state string) (version int, known bool) {
	for i, o := range all {
		v, said := o[uid][state]
		if !said {
			return 0, false
		}
		if i == 0 || v < version {
			version = v
		}
	}
	return version, len(all) > 0
}

// raise notes that a state of an operator holds nothing older than a version.
func raise(op *graph.Operator, state string, version int) {
	op.Oldest = maps.Clone(op.Oldest)
	op.Oldest[state] = version
	for _, s := range op.Declared.Keeps() {
		if s.Name == state && version >= s.Version {
			delete(op.Oldest, state)
		}
	}
	if len(op.Oldest) == 0 {
		op.Oldest = nil
	}
}
