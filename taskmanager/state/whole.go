package state

import (
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
)

// Changes are small files, but each makes restoring slower, and folding them means to read them all. Where all of a state
// lies in memory, writing it whole costs no more than writing as many changes: then the files before it are not needed.

// whole is everything that the store holds, as a freeze that was just made leaves it; nil when some of it lies elsewhere.
func (h *hot) whole() *frozen {
	if !h.isWhole() {
		return nil
	}
	f := &frozen{gen: h.gen - 1, groups: h.config.Groups, from: h.config.From, to: h.config.To, full: true}
	type part struct {
		held *held
		own  *ownValue
	}
	parts := map[stateName]part{}
	for id, st := range h.states {
		if st.spec.Derived {
			continue
		}
		parts[id] = part{held: st}
		f.states = append(f.states, stateInfo(st.spec))
	}
	for id, v := range h.own {
		name := stateName{id.operator, snapshot.OwnPrefix + id.name}
		parts[name] = part{own: v}
		f.states = append(f.states, snapshot.State{Operator: name.operator, Name: name.name})
	}
	snapshot.SortStates(f.states)
	f.grow(len(f.states))
	for i, s := range f.states {
		p := parts[stateName{s.Operator, s.Name}]
		if p.own != nil {
			f.own[i] = frozenOwn{value: p.own.value, set: p.own.set}
			if !p.own.set {
				f.own[i].kept = p.own.restored
			}
			continue
		}
		f.ended[i] = h.clockOf(p.held.spec).Now
		for ns, t := range p.held.open {
			f.tables[i] = append(f.tables[i], t.frozen(ns, f.gen))
			f.tables[i][len(f.tables[i])-1].full = true
			t.seal() // what was restored is not changed in place either
		}
	}
	return f
}

// isWhole says whether all of the state lies in the tables that take entries, and in the operators' own scope.
func (h *hot) isWhole() bool {
	for _, r := range h.config.Restored {
		for i, s := range r.States() {
			if r.Shows(i) && h.cold != nil && Kind(s.Kind) != 0 && h.states[stateName{s.Operator, s.Name}] == nil {
				return false // nobody has asked for it yet
			}
		}
	}
	for _, st := range h.states {
		for _, t := range st.open {
			if t.old != nil || t.flushing != nil || t.id != 0 || t.files != nil && !t.whole {
				return false
			}
		}
		if st.spec.Kind == Timer {
			continue // the namespaces of its files are times of its one table
		}
		for i, f := range st.files {
			list, listed := f.reader.Namespaces(f.state)
			if !listed || len(list) > wholeNamespaces {
				return false
			}
			for _, ns := range list {
				if !st.gone[Namespace(ns)] && st.open[Namespace(ns)] == nil && !h.cold.removed(st.files[:i], ns) {
					return false
				}
			}
		}
	}
	return true
}

// wholeNamespaces is how many namespaces of a restored file are looked at in every freeze.
const wholeNamespaces = 64
