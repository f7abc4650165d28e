package snapshot

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
)

// place is where an entry stands but for its key.
type place struct {
	state int
	group graph.KeyGroup
	ns    int64
}

func (e *Entry) place() place { return place{e.State, e.Group, e.Namespace} }

// order compares places by (operator, key group, state, namespace), given the operator of each state.
type order []int

func operatorsOf(states []State) order {
	o := make(order, len(states))
	for i := range states {
		if i > 0 {
			o[i] = o[i-1]
			if states[i].Operator != states[i-1].Operator {
				o[i]++
			}
		}
	}
	return o
}

func (o order) compare(a, b place) int {
	if a == b {
		return 0
	}
	if c := cmp.Compare(o[a.state], o[b.state]); c != 0 {
		return c
	}
	if c := cmp.Compare(a.group, b.group); c != 0 {
		return c
	}
	if c := cmp.Compare(a.state, b.state); c != 0 {
		return c
	}
	return cmp.Compare(a.ns, b.ns)
}

// compareKeys is compare, then by key.
func (o order) compareKeys(a place, aKey []byte, b place, bKey []byte) int {
	if c := o.compare(a, b); c != 0 {
		return c
	}
	return bytes.Compare(aKey, bKey)
}

// MaxStates is how many states a file may have.
const MaxStates = 1 << 16

func compareStates(a, b State) int {
	return cmp.Or(cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.Name, b.Name))
}

// checkStates holds them in their order, each once.
func checkStates(states []State) error {
	if len(states) > MaxStates {
		return fmt.Errorf("%d states (expected <= %d)", len(states), MaxStates)
	}
	for i := 1; i < len(states); i++ {
		if compareStates(states[i-1], states[i]) >= 0 {
			return fmt.Errorf("states[%d]: %s of %s after %s of %s (expected each once, by operator, then name)",
				i, states[i].Name, states[i].Operator, states[i-1].Name, states[i-1].Operator)
		}
	}
	return nil
}

// SortStates brings states into the order of a file.
func SortStates(states []State) { slices.SortFunc(states, compareStates) }
